#pragma once
// columns::ConformTo by its name in this room.

#include "columns/conform.h"

namespace headrace::pipeline {

using columns::ConformTo;

}  // namespace headrace::pipeline
