#pragma once
// A whole connection to a whole engine: whatever comes, each answer is one, and the next client is
// served.

#include "hostile/small_engine.h"

namespace headrace::fuzz {

// One input of a fuzz target.
int TalkToEngine(hostile::Protocol protocol, const uint8_t* data, size_t size);

}  // namespace headrace::fuzz
