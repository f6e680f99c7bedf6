# A conversation with permessage-deflate, whose text is in tests/live/ws_peer.py.
cd "$TESTDATA"
fdtape-analyze ws websocket.tape
fdtape-analyze --json ws websocket.tape | jq -c '[.direction, .type, .frames, .bytes, .wire_bytes, (.text // "" | .[:40]), .close_code, .complete]'
fdtape-analyze http websocket.tape
