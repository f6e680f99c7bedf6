# Three requests at once on one HTTP/2 connection over TLS, and a push (testdata/record.sh). Bodies are what was served.
cd "$TESTDATA"
fdtape-analyze http nghttp.tape
fdtape-analyze --json http nghttp.tape | jq -c '[.stream, .method, .path, .status, .response_body_sha256, .reset, .complete]'
fdtape-analyze --json http nghttp.tape | jq -c 'select(.stream == 13) | .request_headers, .response_headers'
printf '{"answer": 42}\n' | sha256sum
