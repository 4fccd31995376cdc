-- wrk's script: the requests of FOLDER/bodies.jsonl in turn, over and over.
local bodies, next_body = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    bodies[#bodies + 1] = wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, line)
  end
end

function request()
  next_body = next_body % #bodies + 1
  return bodies[next_body]
end
