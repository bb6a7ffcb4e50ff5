"""The FastAPI echo, as its documentation writes one."""
from typing import Any

from fastapi import Body, FastAPI

app = FastAPI()


@app.post("/")
async def echo(event: Any = Body()) -> Any:
    return event
