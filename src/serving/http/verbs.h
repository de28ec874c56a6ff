#pragma once
// The verbs of serving on the shared HTTP port. docs/reference/http.md describes each.

#include <functional>
#include <string>

#include "base/memory_budget.h"
#include "base/result.h"
#include "columns/key.h"
#include "protocols/http_router.h"
#include "serving/answer.h"

namespace headrace::serving {

// What the verbs ask; all from I/O threads, so none may block. They outlive the server.
struct ServingVerbs {
  AnswerService* answers = nullptr;
  std::function<base::Result<void>()> ready;  // the error says why not: GET /ready answers 503
  std::function<std::string()> status;        // the JSON of GET /status
  std::function<std::string()> metrics;       // Prometheus text
  // Demonstration only; empty: POST /debug/flip does not exist.
  std::function<base::Result<void>(const std::string& view, const columns::KeyBytes& key)> flip;
  // Asked for the memory that a long request takes while it is read; null: not asked.
  base::MemoryBudget* budget = nullptr;
};

// POST /get-online-features, GET /health, /ready, /status, /metrics, /views; POST /debug/flip.
void MountServing(protocols::HttpRouter& router, ServingVerbs verbs);

}  // namespace headrace::serving
