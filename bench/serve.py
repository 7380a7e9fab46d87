"""A range server with latency, for the benchmarks: `python bench/serve.py ROOT PORT LATENCY_MS`.

Every request waits LATENCY_MS before its first byte, as a far store does; nothing limits how many wait at once.
`/__stats` answers the number of requests and bytes since it was last asked.
"""

import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT, PORT, LATENCY = Path(sys.argv[1]).resolve(), int(sys.argv[2]), float(sys.argv[3]) / 1000
stats, lock = {"requests": 0, "bytes": 0}, threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        if self.path == "/__stats":
            with lock:
                text = json.dumps(stats).encode()
                stats.update(requests=0, bytes=0)
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            return
        time.sleep(LATENCY)
        path = (ROOT / self.path.split("?")[0].lstrip("/")).resolve()
        found = path.is_relative_to(ROOT) and path.is_file()
        start, stop, size = 0, 0, path.stat().st_size if found else 0
        status = 404
        if found:
            start, stop, status = 0, size, 200
            wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
            if wanted and any(wanted.groups()):
                first, last = wanted.groups()
                start = int(first) if first else max(0, size - int(last))
                stop = min(size, int(last) + 1) if first and last else size
                status = 206 if start < stop else 416
                start, stop = (start, stop) if status == 206 else (0, 0)
        self.send_response(status)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        if found:
            self.send_header("ETag", f'"{path.stat().st_mtime_ns:x}-{size:x}"')
            self.send_header("Last-Modified", self.date_time_string(path.stat().st_mtime))
        self.end_headers()
        with lock:
            stats["requests"] += 1
            stats["bytes"] += (stop - start) if body else 0
        if body and stop > start:
            self.wfile.flush()
            with open(path, "rb") as f:
                while start < stop:
                    start += os.sendfile(self.connection.fileno(), f.fileno(), start, stop - start)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True


Server(("127.0.0.1", PORT), Handler).serve_forever()
