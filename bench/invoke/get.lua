-- wrk: GET (nginx serves a file); the end as in post.lua.
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('JSON {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "wrong": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout + e.status))
end
