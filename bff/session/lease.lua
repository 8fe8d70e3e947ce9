-- ARGV: channel, tag, version, owner, length
local there = read('v', 'lo', 'lu', 'un', 'd4', 'nb', 'dc')
local version, owner, lease_end = there[1], there[2], tonumber(there[3] or '0')
local definite, by = there[5] or '', there[7] or ''
if not version then return {now, 'gone', '', '', '', 0} end
if version ~= ARGV[3] then return {now, 'stale', '', '', '', 0} end
local spent = there[4]
if not (owner == ARGV[4] and lease_end > now) then
  if owner and lease_end > now then return {now, 'held', ms(lease_end), '', '', 0} end
  local not_before = tonumber(there[6] or '0')
  if not_before > now then return {now, 'held', ms(not_before), definite, by, 1} end
  if owner then spent = '1' end
  redis.call('HSET', KEY, 'lo', ARGV[4], 'lu', ms(now + tonumber(ARGV[5])), 'un', spent or '0')
else
  redis.call('HSET', KEY, 'lo', ARGV[4]) -- written again, so that WAIT has something to wait for
end
return {now, spent == '1' and 'granted_after_lapse' or 'granted', '', definite, by, 0}
