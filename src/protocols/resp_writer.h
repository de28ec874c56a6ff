#pragma once
// Answers of the Redis serialization protocol. One writer speaks one version: what RESP 2 has no
// form for (maps, null, doubles, booleans) is written as Redis writes it to such clients.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace headrace::protocols {

enum class RespVersion : uint8_t { k2 = 2, k3 = 3 };

// Appends to a string that outlives it. An aggregate says its length first and is followed by that
// many answers.
class RespWriter {
 public:
  RespWriter(RespVersion version, std::string& out) : version_(version), out_(out) {}

  RespVersion version() const { return version_; }
  void UseVersion(RespVersion version) { version_ = version; }

  void Simple(std::string_view text);  // no line ends in it
  void Ok() { Simple("OK"); }
  // `code` is a word that clients tell errors apart by ("ERR", "WRONGTYPE"); line ends in `text`
  // become blanks.
  void Error(std::string_view code, std::string_view text);
  void Integer(int64_t value);
  void Bulk(std::string_view bytes);
  void Null();
  void Double(double value);
  void Boolean(bool value);
  void Array(size_t length);
  void Map(size_t pairs);

 private:
  void Head(char type, uint64_t number);

  RespVersion version_;
  std::string& out_;
};

}  // namespace headrace::protocols
