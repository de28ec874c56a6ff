#include "columns/buffer.h"

namespace headrace::columns {

Buffer Buffer::Own(std::vector<uint8_t> bytes) { return OwnValues(std::move(bytes)); }

}  // namespace headrace::columns
