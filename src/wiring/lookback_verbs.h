#pragma once
// The HTTP verbs that ask of the past.

#include <memory>

#include "protocols/http_router.h"
#include "wiring/lookback_questions.h"

namespace headrace::wiring {

// Of a question's body, which is read on the I/O thread; more is refused by its head.
inline constexpr size_t kLookbackBytesMax = 256U << 10;

// POST /explain, POST /get-features-at and POST /last-events.
void MountLookback(protocols::HttpRouter& router,
                   const std::shared_ptr<LookbackQuestions>& questions,
                   serving::AnswerService& answers);

}  // namespace headrace::wiring
