#pragma once
// What a request's fields must say beyond the grammar: one host, one honest length, a coding that
// this server reads.

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "protocols/http_message.h"

namespace headrace::protocols {

// Why a head is refused.
struct HeadRefusal {
  int status;                // 400, 415, 417, 501
  std::string_view message;  // "two Host fields"
};

// `version` is 10 or 11; names of `fields` are in lower case. Nothing when all is well.
std::optional<HeadRefusal> CheckFields(const std::vector<HttpField>& fields, int version);

bool EqualsIgnoringCase(std::string_view a, std::string_view b);

}  // namespace headrace::protocols
