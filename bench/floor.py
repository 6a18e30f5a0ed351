"""The floor: the least that a webhook in Python does. It reads the body, parses it and answers with fixed operations.

Run as `python -m bench.floor PORT CERTIFICATE KEY`: FastAPI on uvicorn, one worker, uvicorn's own defaults otherwise.
"""

import base64
import sys

import orjson
import uvicorn
from fastapi import FastAPI, Request, Response

_OPERATIONS = [
    {"op": "add", "path": "/spec/terminationGracePeriodSeconds", "value": 430},
    {
        "op": "add",
        "path": "/spec/containers/0/env/-",
        "value": {"name": "TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "value": "250"},
    },
    {"op": "add", "path": "/metadata/annotations/gracekeeper.dev~1decision", "value": "fixed"},
]

app = FastAPI()


@app.post("/mutate")
async def mutate(request: Request) -> Response:
    """The same three operations for whatever pod there is."""
    review = orjson.loads(await request.body())
    response = {
        "uid": review["request"]["uid"],
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(orjson.dumps(_OPERATIONS)).decode(),
    }
    answer = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    return Response(orjson.dumps(answer), media_type="application/json")


if __name__ == "__main__":
    port, certificate, key = sys.argv[1:]
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        loop="uvloop",
        http="httptools",
        ssl_certfile=certificate,
        ssl_keyfile=key,
        access_log=False,
        log_level="warning",
    )
