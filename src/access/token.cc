#include "access/token.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

namespace headrace::access {

std::string MakeToken(env::Environment& environment) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  TokenDigest bytes;
  environment.Random(bytes);
  std::string token = "hr_";
  for (const uint8_t byte : bytes) {
    token += kDigits[byte >> 4];
    token += kDigits[byte & 15];
  }
  return token;
}

TokenDigest DigestOf(std::string_view token) {
  TokenDigest digest;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  return digest;
}

bool SameDigest(const TokenDigest& a, const TokenDigest& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace headrace::access
