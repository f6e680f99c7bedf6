# What the fixtures' programs served (testdata/record.sh), by sha256sum, against what the tapes say was carried.
i=0; while [ $i -lt 40 ]; do i=$((i + 1)); echo "line $i of a small file that every transfer carries"; done >small.txt
printf '{"answer": 42}\n' >answer.json
printf 'welcome\n' >welcome
printf 'user=ada' >form
for tape in curl-tls13 curl-tls12 curl-clear nginx-proxy; do
	fdtape-analyze --json http "$TESTDATA/$tape.tape" >http.json
	for file in small.txt answer.json; do
		sum=$(sha256sum <$file | cut -d' ' -f1)
		jq -r "select(.path == \"/$file\").response_body_sha256" http.json |
			while read -r found; do [ "$found" = "$sum" ] && echo "$tape: $file as served"; done
	done
	sum=$(sha256sum <welcome | cut -d' ' -f1) sent=$(sha256sum <form | cut -d' ' -f1)
	jq -r 'select(.path == "/login") | .request_body_sha256 + " " + .response_body_sha256' http.json |
		while read -r found; do [ "$found" = "$sent $sum" ] && echo "$tape: login as sent and served"; done
done
