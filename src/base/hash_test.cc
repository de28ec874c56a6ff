#include "base/hash.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/hash_stream.h"

namespace headrace::base {
namespace {

TEST(HashTest, PiecesHashAsTheWholeDoes) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (const size_t size : {0U, 1U, 240U, 241U, 1024U, 100'000U}) {
    std::vector<uint8_t> bytes(size);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    HashStream stream;
    for (std::span<const uint8_t> rest = bytes; !rest.empty();) {
      const size_t part = std::min<size_t>(rest.size(), random() % 5000);
      stream.Add(rest.first(part));
      rest = rest.subspan(part);
    }
    EXPECT_EQ(stream.value(), Hash64(bytes)) << size << " bytes";
  }
}

}  // namespace
}  // namespace headrace::base
