// Whole connections of HTTP.

#include "fuzz/session.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return headrace::fuzz::TalkToEngine(headrace::hostile::Protocol::kHttp, data, size);
}
