"""What one would write instead: the same model and handler behind FastAPI."""

from fastapi import FastAPI, Request

from app import handler

app = FastAPI()


@app.post("/")
async def predict(request: Request):
    return handler(await request.json(), None)
