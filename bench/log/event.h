#pragma once
// The events that are sent: a number, a time and a text, `event_bytes` long, the same for everyone
// who carries text. As columns the values alone have that length.

#include <cstdint>
#include <string>

namespace headrace::bench {

// Bytes of the text of an event of `event_bytes` whose number and time are 8-byte columns.
size_t ColumnTextBytes(size_t event_bytes);
// Letters and digits, the same for the same seed.
std::string EventText(size_t bytes, uint64_t seed);
// {"id":1000000007,"at":"2026-11-26T03:00:00Z","body":"..."}: exactly `event_bytes` long; at least
// 64 are needed.
std::string JsonEvent(size_t event_bytes, uint64_t number);
// Now, in microseconds since 1970: the event time of everything that one run sends.
int64_t EventTimeUs();

}  // namespace headrace::bench
