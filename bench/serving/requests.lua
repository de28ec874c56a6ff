-- Bodies of POST /get-online-features, a line each, in turn.
local requests = {}
local at = 0
function init(args)
  for line in io.lines(os.getenv("BODIES")) do
    requests[#requests + 1] = wrk.format("POST", "/get-online-features", {["Content-Type"] = "application/json"}, line)
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
