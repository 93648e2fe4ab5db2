#!lua name=riverrun_partials_@VERSION@

-- Writes of feature partials that lose against newer ones, decided inside the server, where nothing comes between
-- reading and writing. Every function may be sent twice with no other effect than once.
--
-- A group of one partition is a hash: entity -> position (8 bytes, big-endian) followed by the partial.
-- A partition's marker is a decimal number: everything of the partition up to that position is here.
-- Positions are counts of records: doubles hold them exactly up to 2^53.

local POSITION = '>I8'

local function position_of(stored)
  -- HMGET gives false for an absent field; no position is below 0.
  if not stored then
    return -1
  end
  return (struct.unpack(POSITION, stored))
end

local function every_second(args, first)
  local chosen = {}
  for i = first, #args, 2 do
    chosen[#chosen + 1] = args[i]
  end
  return chosen
end

-- ARGV: entity, position and partial, entity, position and partial, ... Returns how many were newer.
local function put(keys, args)
  local stored = redis.call('HMGET', keys[1], unpack(every_second(args, 1)))
  local newer = {}
  local latest = {}
  for i = 1, #stored do
    local entity, value = args[2 * i - 1], args[2 * i]
    local position = position_of(value)
    if position > (latest[entity] or position_of(stored[i])) then
      latest[entity] = position
      newer[#newer + 1] = entity
      newer[#newer + 1] = value
    end
  end
  if #newer > 0 then
    redis.call('HSET', keys[1], unpack(newer))
  end
  return #newer / 2
end

-- ARGV: entity, position, entity, position, ... Returns how many were there and not newer.
local function delete(keys, args)
  local stored = redis.call('HMGET', keys[1], unpack(every_second(args, 1)))
  local ended = {}
  for i = 1, #stored do
    if stored[i] and position_of(stored[i]) <= tonumber(args[2 * i]) then
      ended[#ended + 1] = args[2 * i - 1]
    end
  end
  if #ended == 0 then
    return 0
  end
  return redis.call('HDEL', keys[1], unpack(ended))
end

-- ARGV: the position to advance to; the position below which the marker cannot be unless the server lost writes.
-- Returns 1, or 0 if the marker is absent or was set back: what was written before cannot be relied upon.
local function mark(keys, args)
  local marker = redis.call('GET', keys[1])
  if not marker or tonumber(marker) < tonumber(args[2]) then
    return 0
  end
  if tonumber(marker) < tonumber(args[1]) then
    redis.call('SET', keys[1], args[1])
  end
  return 1
end

-- KEYS: marker, token of whoever writes everything anew. ARGV: the caller's token, the position.
-- Returns 1, or 0 if another has begun since, or everything was deleted: then what the caller wrote may be gone.
local function reset(keys, args)
  if redis.call('GET', keys[2]) ~= args[1] then
    return 0
  end
  redis.call('DEL', keys[2])
  redis.call('SET', keys[1], args[2])
  return 1
end

redis.register_function('riverrun_put_@VERSION@', put)
redis.register_function('riverrun_reset_@VERSION@', reset)
redis.register_function('riverrun_delete_@VERSION@', delete)
redis.register_function('riverrun_mark_@VERSION@', mark)
