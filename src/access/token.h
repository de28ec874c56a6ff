#pragma once
// Bearer tokens: 256 random bits, of which only a digest is kept.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "env/environment.h"

namespace headrace::access {

// SHA-256. A salt or a slow hash would add nothing: they are for passwords, which can be guessed;
// 2^256 tokens can't.
using TokenDigest = std::array<uint8_t, 32>;

// "hr_" and 64 hexadecimal digits of the environment's randomness.
std::string MakeToken(env::Environment& environment);
TokenDigest DigestOf(std::string_view token);
// The token of an `Authorization: Bearer TOKEN`; empty when the value is none.
std::string_view BearerToken(std::string_view authorization);
// In a time that does not depend on where they differ.
bool SameDigest(const TokenDigest& a, const TokenDigest& b);

}  // namespace headrace::access
