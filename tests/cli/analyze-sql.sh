# psql, pgbench, mariadb and redis-cli, as their scripts in testdata/record.sh have it.
cd "$TESTDATA"
for tape in psql mariadb redis-cli; do
	fdtape-analyze sql $tape.tape
	fdtape-analyze --json sql $tape.tape | jq -c '[.protocol, .user, .database, .kind, .command, .rows, .error, .error_message, .complete]'
done
fdtape-analyze -v sql --since +0 psql.tape | sed -n 5,6p
fdtape-analyze sql curl-clear.tape
