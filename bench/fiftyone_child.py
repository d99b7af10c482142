"""What the processes that measure FiftyOne have in common.

The first argument is a file of JSON with the plan. A POST of JSON asks for something.
A process ends when its standard input does.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer


def read_plan():
    """Reads the plan, and has FiftyOne, which is to be imported later, use its database."""
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    os.environ["FIFTYONE_DATABASE_URI"] = plan["uri"]
    os.environ["FIFTYONE_DATABASE_NAME"] = plan["database"]
    os.environ["FIFTYONE_DO_NOT_TRACK"] = "true"
    return plan


def serve(answer):
    """Answers every POST with what `answer` makes of it, one after the other."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):  # pylint: disable=invalid-name
            length = int(self.headers["Content-Length"])
            try:
                result = answer(json.loads(self.rfile.read(length)))
            except Exception as error:  # pylint: disable=broad-except
                result = {"error": f"FiftyOne failed: {type(error).__name__}: {error}"}
            body = json.dumps(result).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    def end_with_input():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end_with_input, daemon=True).start()
    server = HTTPServer(("127.0.0.1", 0), Handler)
    addresses = [f"127.0.0.1:{server.server_port}"]
    line = json.dumps({"msg": "serving", "addresses": addresses})
    print(line, file=sys.stderr, flush=True)
    server.serve_forever()
