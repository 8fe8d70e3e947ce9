-- ARGV: channel, tag
return {now, KEY, read('at')[1]}
