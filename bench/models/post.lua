-- wrk: POST the lines of the file that EVENTS names in turn (without it: GET the address), so that no row finds its way through the model in
-- the processor's cache; one line of JSON at the end.
local requests, at = {}, 0

function init()
  if not os.getenv("EVENTS") then
    requests[1] = wrk.format("GET")
    return
  end
  local headers = {["Content-Type"] = "application/json"}
  for event in io.lines(os.getenv("EVENTS")) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, event)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('JSON {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "wrong": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout + e.status))
end
