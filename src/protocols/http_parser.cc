// A request, step by step:
// 1. Its head is gathered up to the empty line, within the limits; HeadLines looks at each line as
// it comes. One that was read before is taken as it was (kept_heads.h).
// 2. Beast's grammar reads the whole head (http_head.h); CheckFields and ParseTarget refuse what it
// lets pass.
// 3. The body is read by its length or by chunks (http_body.h).
#include "protocols/http_parser.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "protocols/head_lines.h"
#include "protocols/head_rules.h"
#include "protocols/http_body.h"
#include "protocols/http_head.h"
#include "protocols/kept_heads.h"
#include "protocols/target.h"

namespace headrace::protocols {
namespace {

using base::ErrorCode;

constexpr size_t kResponseHeadMax = 64U << 10;

KeptHeads& HeadsOfThread() {
  thread_local KeptHeads heads;
  return heads;
}

// "HTTP/2.0" and its like, as opposed to what is no version at all. The request line has two
// blanks.
bool IsForeignVersion(std::string_view head) {
  const std::string_view line = head.substr(0, head.find('\r'));
  const std::string_view version = line.substr(line.rfind(' ') + 1);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return version.size() == 8 && version.starts_with("HTTP/") && digit(version[5]) &&
         version[6] == '.' && digit(version[7]) && version != "HTTP/1.1" && version != "HTTP/1.0";
}

}  // namespace

class HttpRequestParser::Impl {
 public:
  Impl(const HttpLimits& limits, base::MemoryBudget& budget, HeadCheck check, BodyLimit body_limit)
      : limits_(limits),
        budget_(budget),
        check_(std::move(check)),
        body_limit_(std::move(body_limit)) {}

  size_t Feed(std::string_view bytes) {
    size_t used = 0;
    if (state_ == State::kIdle) used += SkipEmptyLine(bytes);
    if ((state_ == State::kIdle || state_ == State::kHead) && used < bytes.size()) {
      state_ = State::kHead;
      used += FeedHead(bytes.substr(used));
    }
    if (state_ == State::kBody && used < bytes.size()) {
      used += body_->Feed(bytes.substr(used));
      JudgeBody();
    }
    return used;
  }
  HttpRequest Take() {
    HR_CHECK(state_ == State::kComplete, "a request is taken when it is complete");
    HttpRequest request;
    request.method = *head_.method;
    request.path = std::move(target_.path);
    request.query = std::move(target_.query);
    request.fields = std::move(head_.fields);
    request.body = body_->Take();
    request.charge = body_->TakeCharge();
    state_ = State::kIdle;
    lines_ = {};
    skipped_ = 0;
    continue_ = false;
    asks_for_head_ = false;
    return request;
  }
  bool TakeContinue() { return std::exchange(continue_, false); }

  State state_ = State::kIdle;
  bool keep_alive_ = true;
  bool asks_for_head_ = false;
  base::Error failure_{ErrorCode::kInvalidInput, ""};
  int failure_status_ = 0;

 private:
  void Fail(int status, std::string message, ErrorCode code = ErrorCode::kInvalidInput) {
    state_ = State::kFailed;
    failure_status_ = status;
    failure_ = base::Error(code, std::move(message));
  }
  void Malformed(std::string_view what) { Fail(400, "malformed request: " + std::string(what)); }

  // RFC 9112 asks a server to pass over one empty line before a request.
  size_t SkipEmptyLine(std::string_view bytes) {
    size_t used = 0;
    while (used < bytes.size() && skipped_ < 2 && bytes[used] == "\r\n"[skipped_]) {
      ++skipped_;
      ++used;
    }
    return used;
  }

  // Head bytes are kept until the whole head is there; what is beyond it is given back.
  size_t FeedHead(std::string_view bytes) {
    if (text_.empty()) {
      const KeptHeads::Entry* const kept = HeadsOfThread().Find(bytes);
      if (kept != nullptr && IsWithinLimits(*kept)) return TakeKept(*kept);
    }
    const size_t before = text_.size();
    text_.append(bytes.substr(0, limits_.header_bytes_max + 1 - before));
    const auto wrong = lines_.Check(text_);
    size_t used = text_.size() - before;
    if (wrong) {
      Malformed(*wrong);
    } else if (lines_.fields() > limits_.header_fields_max) {
      Fail(431, "more than " + std::to_string(limits_.header_fields_max) + " header fields");
    } else if (lines_.end() && *lines_.end() <= limits_.header_bytes_max) {
      used = *lines_.end() - before;
      text_.resize(*lines_.end());
      HeadDone();
      text_.clear();
    } else if (text_.size() > limits_.header_bytes_max) {
      TooLong();
    }
    return used;
  }
  void TooLong() {
    const bool in_request_line = text_.find('\n') == std::string::npos;
    Fail(in_request_line ? 414 : 431, std::string(in_request_line ? "a target" : "header fields") +
                                          " over the limit of " +
                                          std::to_string(limits_.header_bytes_max) + " bytes");
  }

  bool IsWithinLimits(const KeptHeads::Entry& kept) const {
    return kept.text.size() <= limits_.header_bytes_max &&
           kept.head.fields.size() <= limits_.header_fields_max &&
           kept.head.target.size() <= limits_.target_bytes_max;
  }
  // Bytes of it.
  size_t TakeKept(const KeptHeads::Entry& kept) {
    head_ = kept.head;
    target_ = kept.target;
    asks_for_head_ = head_.method == HttpMethod::kHead;
    if (JudgeSender()) BeginBody();
    return kept.text.size();
  }

  void HeadDone() {
    if (IsForeignVersion(text_))
      return Fail(505, "only HTTP/1.1 and HTTP/1.0 are spoken here", ErrorCode::kUnsupported);
    auto head = ReadRequestHead(text_);
    if (!head) return Malformed(head.error());
    asks_for_head_ = head->method == HttpMethod::kHead;
    if (const auto refusal = CheckFields(head->fields, head->version))
      return Fail(refusal->status, "malformed request: " + std::string(refusal->message));
    if (!head->method)
      return Fail(501, "a method that this server does not know", ErrorCode::kUnsupported);
    head_ = std::move(*head);
    if (!JudgeSender()) return;
    TakeTarget();
    if (state_ == State::kFailed) return;
    HeadsOfThread().Keep(text_, head_, target_);
    BeginBody();
  }
  bool JudgeSender() {
    const auto refusal = check_ ? check_(head_) : std::nullopt;
    if (!refusal) return true;
    Fail(refusal->status, std::string(refusal->message),
         refusal->status == 401 || refusal->status == 403 ? ErrorCode::kUnauthorized
                                                          : ErrorCode::kInvalidInput);
    return false;
  }
  void BeginBody() {
    keep_alive_ = head_.keep_alive;
    body_bytes_max_ = BodyBytesMax();
    const ChunkLimits limits{body_bytes_max_, limits_.chunk_line_bytes_max,
                             limits_.header_bytes_max};
    body_.emplace(head_.framing, head_.length, limits, &budget_);
    state_ = State::kBody;
    JudgeBody();
    continue_ = state_ == State::kBody && head_.version == 11 && Has("expect");
  }
  uint64_t BodyBytesMax() const {
    if (!body_limit_ || head_.framing == Framing::kNone) return limits_.body_bytes_max;
    const uint64_t declared =
        head_.framing == Framing::kLength ? head_.length : std::numeric_limits<uint64_t>::max();
    return std::min(limits_.body_bytes_max, body_limit_(*head_.method, target_.path, declared));
  }
  bool Has(std::string_view name) const {
    return std::any_of(head_.fields.begin(), head_.fields.end(),
                       [&](const HttpField& f) { return f.name == name; });
  }
  void TakeTarget() {
    if (head_.target.size() > limits_.target_bytes_max)
      return Fail(
          414, "a target over the limit of " + std::to_string(limits_.target_bytes_max) + " bytes");
    auto target = ParseTarget(head_.target);
    if (!target || (target->path == "*" && head_.method != HttpMethod::kOptions))
      return Malformed("a target that is no path, or has a broken escape");
    target_ = std::move(*target);
  }
  void JudgeBody() {
    switch (body_->state()) {
      case HttpBody::State::kMore: return;
      case HttpBody::State::kComplete: state_ = State::kComplete; return;
      case HttpBody::State::kMalformed: return Malformed("a chunk that breaks the chunked coding");
      case HttpBody::State::kTooLarge:
        return Fail(413, "a body over the limit of " + std::to_string(body_bytes_max_) +
                             " bytes: send it in pieces");
      case HttpBody::State::kOverBudget:
        return Fail(503, "no memory left for this body: repeat it later, or in smaller pieces",
                    ErrorCode::kResourceExhausted);
    }
  }

  const HttpLimits limits_;
  base::MemoryBudget& budget_;
  const HeadCheck check_;
  const BodyLimit body_limit_;
  std::string text_;  // of the head, while it comes
  HeadLines lines_;
  RequestHead head_;
  Target target_;
  std::optional<HttpBody> body_;
  uint64_t body_bytes_max_ = 0;  // of body_
  int skipped_ = 0;
  bool continue_ = false;
};

HttpRequestParser::HttpRequestParser(const HttpLimits& limits, base::MemoryBudget& budget,
                                     HeadCheck check, BodyLimit body_limit)
    : impl_(std::make_unique<Impl>(limits, budget, std::move(check), std::move(body_limit))) {}
HttpRequestParser::~HttpRequestParser() = default;
size_t HttpRequestParser::Feed(std::span<const uint8_t> bytes) {
  return impl_->Feed({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
HttpRequestParser::State HttpRequestParser::state() const { return impl_->state_; }
bool HttpRequestParser::TakeContinue() { return impl_->TakeContinue(); }
bool HttpRequestParser::keep_alive() const { return impl_->keep_alive_; }
HttpRequest HttpRequestParser::Take() { return impl_->Take(); }
bool HttpRequestParser::asks_for_head() const { return impl_->asks_for_head_; }
const base::Error& HttpRequestParser::failure() const { return impl_->failure_; }
int HttpRequestParser::failure_status() const { return impl_->failure_status_; }

class HttpResponseParser::Impl {
 public:
  explicit Impl(uint64_t body_bytes_max)
      : limits_{body_bytes_max, kResponseHeadMax, kResponseHeadMax} {}
  bool complete() const { return body_ && body_->state() == HttpBody::State::kComplete; }

  base::Result<size_t> Feed(std::string_view bytes) {
    size_t used = 0;
    while (used < bytes.size() && !complete()) {
      if (!body_) {
        HR_TRY(const size_t of_head, FeedHead(bytes.substr(used)));
        used += of_head;
      } else {
        used += body_->Feed(bytes.substr(used));
      }
      HR_TRY_VOID(JudgeBody());
    }
    return used;
  }
  base::Result<void> EndOfInput() {
    if (body_) body_->EndOfInput();
    if (complete()) return {};
    return base::Fail(ErrorCode::kUnavailable,
                      "the server closed the connection before its answer was whole");
  }
  HttpResponse Take() {
    HR_CHECK(complete(), "a response is taken when it is complete");
    HttpResponse response{head_.status, {}, body_->Take(), std::move(head_.fields)};
    for (const HttpField& field : response.fields)
      if (field.name == "content-type") response.content_type = field.value;
    body_.reset();
    return response;
  }

  ResponseHead head_;

 private:
  base::Result<size_t> FeedHead(std::string_view bytes) {
    const size_t before = text_.size();
    text_.append(bytes);
    const size_t end = text_.find("\r\n\r\n");
    if (end == std::string::npos) {
      if (text_.size() > kResponseHeadMax)
        return base::Fail(ErrorCode::kUnavailable, "what the server sent is no HTTP");
      return bytes.size();
    }
    auto head = ReadResponseHead(std::string_view(text_).substr(0, end + 4));
    if (!head)
      return base::Fail(ErrorCode::kUnavailable,
                        "what the server sent is no HTTP: " + head.error());
    text_.clear();
    if (head->status >= 200) {
      head_ = std::move(*head);
      body_.emplace(head_.framing, head_.length, limits_, nullptr);
    }
    return end + 4 - before;
  }
  base::Result<void> JudgeBody() const {
    if (!body_ || body_->state() == HttpBody::State::kMore || complete()) return {};
    if (body_->state() == HttpBody::State::kTooLarge)
      return base::Fail(ErrorCode::kResourceExhausted, "the server's answer is over the limit");
    return base::Fail(ErrorCode::kUnavailable, "what the server sent is no HTTP: a broken chunk");
  }

  ChunkLimits limits_;
  std::string text_;
  std::optional<HttpBody> body_;
};

HttpResponseParser::HttpResponseParser(uint64_t body_bytes_max)
    : impl_(std::make_unique<Impl>(body_bytes_max)) {}
HttpResponseParser::~HttpResponseParser() = default;
base::Result<size_t> HttpResponseParser::Feed(std::span<const uint8_t> bytes) {
  return impl_->Feed({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}
base::Result<void> HttpResponseParser::EndOfInput() { return impl_->EndOfInput(); }
bool HttpResponseParser::complete() const { return impl_->complete(); }
bool HttpResponseParser::keep_alive() const { return impl_->head_.keep_alive; }
HttpResponse HttpResponseParser::Take() { return impl_->Take(); }

}  // namespace headrace::protocols
