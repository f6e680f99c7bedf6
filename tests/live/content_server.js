// SPDX-License-Identifier: BSD-2-Clause
// content_server.js PORT FILE: FILE encoded by Node's zlib, the coding (or a list of them) being the path; /events gives
// server-sent events in gzip, flushed one by one, and /cut only the first half of the body that it announces.
"use strict";
const fs = require("fs"), http = require("http"), zlib = require("zlib");
const text = fs.readFileSync(process.argv[3]);
const encode = {
	"gzip": zlib.gzipSync, "deflate": zlib.deflateSync, "br": zlib.brotliCompressSync, "identity": bytes => bytes,
};

http.createServer((request, response) => {
	const path = request.url.slice(1);

	request.resume();
	if (path === "events") {
		const gzip = zlib.createGzip();
		let n = 0;

		response.writeHead(200, {"Content-Type": "text/event-stream", "Content-Encoding": "gzip"});
		gzip.pipe(response);
		const timer = setInterval(() => {
			gzip.write(`data: ${n}\n\n`);
			gzip.flush();
			if (++n === 5) {
				clearInterval(timer);
				gzip.end();
			}
		}, 5);
	} else if (path === "raw") {
		response.setHeader("Content-Encoding", "deflate");
		response.end(zlib.deflateRawSync(text));
	} else if (path === "cut") {
		const body = zlib.brotliCompressSync(text);

		response.writeHead(200, {"Content-Encoding": "br", "Content-Length": body.length});
		response.write(body.subarray(0, body.length / 2), () => response.destroy());
	} else if (path === "wrong") {
		response.setHeader("Content-Encoding", "gzip");
		response.end("this is no gzip");
	} else {
		let body = text;

		for (const coding of path.split(","))
			body = encode[coding](body);
		response.setHeader("Content-Encoding", path.replace(/,/g, ", "));
		response.end(body);
	}
}).listen(Number(process.argv[2]), "127.0.0.1");
