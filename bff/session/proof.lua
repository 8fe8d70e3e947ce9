-- After every script, which is the function `operation` by now. The last of ARGV is a digest of
-- all that was asked, a nonce among it: what did not arrive whole is not done. The answer goes
-- under a digest of its own, over that one: it proves which key and which call it answers.
local function told(part)
  if type(part) == 'table' then
    local parts = {}
    for place, each in ipairs(part) do parts[place] = told(each) end
    return #parts .. '*' .. table.concat(parts)
  end
  if not part then return '-' end
  if type(part) == 'number' then part = ms(part) end
  return #part .. ':' .. part
end

local asked = {KEY}
for place = 1, #ARGV - 1 do asked[place + 1] = ARGV[place] end
if redis.sha1hex(told(asked)) ~= ARGV[#ARGV] then return redis.error_reply('BROKEN') end
local answer = operation()
return {redis.sha1hex(ARGV[#ARGV] .. told(answer)), answer}
