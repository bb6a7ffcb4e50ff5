-- wrk: POST the same JSON event each time; one line of JSON at the end. Nothing runs per answer, so
-- that the generator costs little; that the answers are right is checked before, by run.py.
wrk.method = "POST"
wrk.body = '{"instances": [[1, 2.5, 3, 4]], "name": "echo", "ok": true}'
wrk.headers["Content-Type"] = "application/json"

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('JSON {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "wrong": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout + e.status))
end
