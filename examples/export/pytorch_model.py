"""A PyTorch network to ONNX, with torch.onnx: pytorch_model.py FOLDER

Writes model.onnx and its data file, and rows.json: rows and what the original answers to them."""

import json
import pathlib
import sys

import torch

FEATURES = 8
folder = pathlib.Path(sys.argv[1])
torch.manual_seed(3)
rows = torch.randn(2000, FEATURES)
target = (3 * rows[:, 0] + torch.sin(2 * rows[:, 1]) * rows[:, 2]).unsqueeze(1)
model = torch.nn.Sequential(torch.nn.Linear(FEATURES, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(),
                            torch.nn.Linear(64, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(200):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(rows), target)
    loss.backward()
    optimizer.step()
model.eval()

# The first dimension is left open, so that requests of any number of rows, and batches of requests, fit.
torch.onnx.export(model, (rows[:2],), folder / "model.onnx", dynamo=True, input_names=["X"], output_names=["y"],
                  dynamic_shapes=({0: torch.export.Dim("rows")},), verbose=False)

test = torch.randn(50, FEATURES)
with torch.no_grad():
    expected = model(test).tolist()
(folder / "rows.json").write_text(json.dumps({"instances": test.tolist(), "expected": expected}))
