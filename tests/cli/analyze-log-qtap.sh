# The words are those of qtap's own log of the same calls: three lines a call that carried bytes, one for accept4.
# Checked: (1) the case of the nginx proxy, line by line; (2) each line has a shape that qtap's has; (3) on all tapes,
# the calls, their bytes, direction and fd are those that jq makes from the tape's items, as tests/dump prints them,
# which knows nothing of views; (4) which fd is TLS: that of the proxied side alone, by `flows`.
cd "$TESTDATA"
fdtape-analyze log --log-format qtap --until +2.0291 nginx-proxy.tape

head='^2026-11-21 [0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}	INFO	eBPF trace	\{"msg": "'
id='"pid": [0-9]+, "exe": "[^"]+", "fd": [0-9]+'
for tape in nginx-proxy curl-tls12 curl-tls13 curl-clear dns-server; do
	fdtape-analyze log --log-format qtap $tape.tape | grep -vE \
		-e "$head[a-z]+/[A-Za-z_0-9]+( \(init\))?\", $id, \"bytes\": [0-9]+\}\$" \
		-e "${head}syscall/accept4\", \"caller\": \"syscall/accept4\", $id\}\$" \
		-e "${head}process_data \(not ssl\)\", \"caller\": \"syscall/[a-z]+\", $id, \"direction\": [01], \"bytes\": [0-9]+, \"ssl\": false\}\$" \
		-e "${head}process_data \(pre-protocol\)\", \"caller\": \"[a-z]+/[A-Za-z_0-9]+\", $id, \"direction\": [01], \"bytes\": [0-9]+, \"ssl\": (true|false), \"protocol\": 0\}\$"
	"$BIN/tests/dump" $tape.tape | jq -c 'select(.item == "event" and .call < 2048 and .bytes > 0)
		| [.pid, .fd, .dir, .bytes]' >"$OLDPWD/items"
	fdtape-analyze log --log-format qtap $tape.tape | cut -f 4 | jq -c 'select(.msg | startswith("process_data"))
		| select(.caller | startswith("syscall/")) | [.pid, .fd, .direction, .bytes]' >"$OLDPWD/lines"
	cmp "$OLDPWD/items" "$OLDPWD/lines" && echo "$tape: $(wc -l <"$OLDPWD/lines") calls"
done
fdtape-analyze log --log-format qtap nginx-proxy.tape | cut -f 4 | jq -c '[.msg, .fd, .ssl]' | grep process_data | sort | uniq -c
fdtape-analyze flows --json nginx-proxy.tape | jq -c '[.fd, .tls.verdict]'

# log --json has the same words for the same calls.
fdtape-analyze log --json nginx-proxy.tape | jq -r 'select(.bytes > 0) | .process_data' >"$OLDPWD/words"
fdtape-analyze log --log-format qtap nginx-proxy.tape | cut -f 4 | jq -r .msg | grep process_data | cmp - "$OLDPWD/words"

# What is no known connection (here: its flow's definition is in a damaged block).
fdtape-analyze -q log --log-format qtap golden/v1/damaged-header.tape 2>/dev/null | head -3
fdtape-analyze log --log-format qtab nginx-proxy.tape
fdtape-analyze log --log-format qtap --json nginx-proxy.tape
fdtape-analyze flows --log-format qtap nginx-proxy.tape
