// Hashes whose values never change: tables, seeds and buckets are named after them for years. Each
// is a published function of stated bytes, computed by a library.
#include <openssl/evp.h>
#include <xxhash.h>

#include <bit>
#include <memory>

#include "pipeline/expressions/binding.h"

namespace headrace::pipeline {
namespace {

using columns::Type;
using columns::Value;
using Text = std::string_view;

constexpr int64_t kSeed = 42;  // Spark's, so that a job there can compute the same

// The bytes of a value: integers little-endian in the width of their type, floats as their bits.
template <typename Number>
int64_t HashNumber(Number number, int64_t seed) {
  return static_cast<int64_t>(XXH64(&number, sizeof(number), static_cast<uint64_t>(seed)));
}
template <Type kType, typename T>
int64_t HashOf(T value, int64_t seed) {
  if constexpr (std::is_same_v<T, Text>) {
    return static_cast<int64_t>(XXH64(value.data(), value.size(), static_cast<uint64_t>(seed)));
  } else if constexpr (kType == Type::kFloat32) {
    const float narrow = value == 0 ? 0.0F : static_cast<float>(value);
    return HashNumber(value != value ? 0x7FC00000U : std::bit_cast<uint32_t>(narrow), seed);
  } else if constexpr (kType == Type::kFloat64) {
    const double positive = value == 0 ? 0.0 : value;
    return HashNumber(value != value ? 0x7FF8000000000000ULL : std::bit_cast<uint64_t>(positive),
                      seed);
  } else if constexpr (kType == Type::kInt64) {
    return HashNumber(static_cast<int64_t>(value), seed);
  } else {
    return HashNumber(static_cast<int32_t>(value), seed);
  }
}

// The hash so far is the seed of the next; a NULL leaves it as it is.
template <Type kType, typename T>
void HashNext(const Step& step, Frame& frame) {
  const auto seed = frame.In<int64_t>(step.arguments[0]);
  const auto a = frame.In<T>(step.arguments[1]);
  const uint8_t* nulls = frame.Nulls(step.arguments[1]);
  int64_t* out = frame.Out<int64_t>(step.self);
  for (size_t row = 0; row < frame.rows(); ++row) {
    const bool null = nulls != nullptr && nulls[row] != kIsPresent;
    out[row] = null ? seed[row] : HashOf<kType, T>(a[row], seed[row]);
  }
  frame.SetNulls(step.self, nullptr);
}

Kernel HashKernel(Type type) {
  switch (type) {
    case Type::kBool: return &HashNext<Type::kBool, uint8_t>;
    case Type::kInt32:
    case Type::kDate: return &HashNext<Type::kInt32, int64_t>;
    case Type::kInt64:
    case Type::kTimestamp:
    case Type::kTimestampNtz: return &HashNext<Type::kInt64, int64_t>;
    case Type::kFloat32: return &HashNext<Type::kFloat32, double>;
    case Type::kFloat64: return &HashNext<Type::kFloat64, double>;
    case Type::kString:
    case Type::kBytes: return &HashNext<Type::kString, Text>;
    default: return nullptr;
  }
}

Bound HashAll(Binder& binder, const Call& call, size_t arguments) {
  uint32_t hash = binder.Constant(kIntType, Value::Int64(kSeed));
  for (size_t i = 0; i < arguments; ++i) {
    const Kernel kernel = HashKernel(binder.step(call.arguments[i]).type.type);
    if (kernel == nullptr) return Binder::Fail(*call.syntax.children[i], "this can't be hashed");
    HR_TRY(hash, binder.Emit(call.syntax, kernel, kIntType, {hash, call.arguments[i]}));
  }
  return hash;
}
Bound BindXxHash(Binder& binder, const Call& call) {
  return HashAll(binder, call, call.arguments.size());
}

// Not negative: the hash modulo n, as mathematicians take it.
struct Bucket {
  static bool Do(int64_t hash, int64_t n, int64_t* out) {
    if (n <= 0) return *out = 0, false;
    const int64_t rest = hash % n;
    *out = rest < 0 ? rest + n : rest;
    return true;
  }
};
Bound BindBucket(Binder& binder, const Call& call) {
  const size_t last = call.arguments.size() - 1;
  HR_TRY(const uint32_t n,
         binder.Convert(*call.syntax.children[last], call.arguments[last], kIntType));
  HR_TRY(const uint32_t hash, HashAll(binder, call, last));
  // A NULL has no bucket.
  HR_TRY(
      const uint32_t bucket,
      binder.Emit(call.syntax, &Partial2<Bucket, int64_t, int64_t, int64_t>, kIntType, {hash, n}));
  if (last != 1) return bucket;
  HR_TRY(const uint32_t null,
         binder.Emit(call.syntax, IsNullKernel("is null"), kBoolType, {call.arguments[0]}));
  const uint32_t none = binder.Constant(kIntType, Value::Null(Type::kInt64));
  return binder.Emit(call.syntax, SelectKernel(MachineType::kInt), kIntType, {null, none, bucket});
}

using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

// A message digest in small hexadecimal digits.
template <const EVP_MD* (*kDigest)()>
struct DigestOf {
  static uint8_t Do(const RowContext& context, Text a, Text* out) {
    static constexpr Text kDigits = "0123456789abcdef";
    static EVP_MD* const kMethod = EVP_MD_fetch(nullptr, EVP_MD_get0_name(kDigest()), nullptr);
    thread_local const DigestContext kContext(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    const bool good = kMethod != nullptr && kContext != nullptr &&
                      EVP_DigestInit_ex(kContext.get(), kMethod, nullptr) == 1 &&
                      EVP_DigestUpdate(kContext.get(), a.data(), a.size()) == 1 &&
                      EVP_DigestFinal_ex(kContext.get(), digest, &size) == 1;
    if (!good) return kIsError;
    char* text = context.frame.Text(2 * size);
    for (size_t i = 0; i < size; ++i) {
      text[2 * i] = kDigits[digest[i] >> 4];
      text[2 * i + 1] = kDigits[digest[i] & 15];
    }
    *out = {text, 2 * size};
    return kIsPresent;
  }
};
template <const EVP_MD* (*kDigest)()>
Bound BindDigest(Binder& binder, const Call& call) {
  HR_TRY(const uint32_t a, TextOrBytes(binder, call, 0));
  return binder.Emit(call.syntax, &Map<DigestOf<kDigest>, Text, Text>, kTextType, {a});
}

constexpr std::array kFunctions = {
    FunctionRow{"hash_bucket", "hash_bucket(value, ..., n)",
                "A bucket from 0 to n - 1: xxhash64 of the values modulo n (Spark: "
                "`pmod(xxhash64(...), n)`). NULL of one NULL value; n of 0 and below gives NULL.",
                "hash_bucket('card-17', 100)", "38", 2, kArgumentsMax, &BindBucket},
    FunctionRow{"md5", "md5(text or bytes)", "MD5 in 32 small hexadecimal digits; not for secrets.",
                "md5('SEA')", "\"9abd3d9b983e99aa1fd94837498b0bea\"", 1, 1, &BindDigest<EVP_md5>},
    FunctionRow{"sha256", "sha256(text or bytes)", "SHA-256 in 64 small hexadecimal digits.",
                "sha256('SEA')",
                "\"08dd9890141cdccd3999d425a3492bfb742823adb8c56586370cd28ddf72f65b\"", 1, 1,
                &BindDigest<EVP_sha256>},
    FunctionRow{"xxhash64", "xxhash64(value, ...)",
                "XXH64 with seed 42, each value's hash the next one's seed, NULLs passed over: as "
                "Spark's. An int64 is 8 bytes, an int32, a date or a bool 4, a float its bits (-0 "
                "as 0). `hash` is the same; DuckDB's `hash` is another function.",
                "xxhash64('Spark', CAST(123 AS int32), CAST(2 AS int32))", "5602566077635097486", 1,
                kArgumentsMax, &BindXxHash, "hash"},
};

}  // namespace

std::span<const FunctionRow> HashFunctions() { return kFunctions; }

}  // namespace headrace::pipeline
