#include "env/real/tcp_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <string_view>
#include <utility>

namespace headrace::env::real {
namespace {

constexpr size_t kSentKept = 64U << 10;   // sent bytes in front of unsent ones that are kept
constexpr size_t kLongPiece = 16U << 10;  // is not copied to what is before it
constexpr size_t kPiecesAtOnce = 16;      // in one system call
constexpr size_t kUncharged = 16U << 10;  // unsent bytes of the turn that makes and sends them
constexpr std::chrono::microseconds kLooksOutAfterAnswer{100};
constexpr size_t kLastingRead = 4U << 10;  // so many bytes may be long work
constexpr int kReadsPerTurn = 4;           // then the other connections of the thread have theirs

}  // namespace

// A stretch of work on the loop's thread; what it wrote is due when the outermost ends.
class TcpConnection::Turn {
 public:
  explicit Turn(TcpConnection& connection) : connection_(connection), alive_(connection.Self()) {
    ++connection_.turns_;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    if (--connection_.turns_ > 0 || connection_.closed_) return;
    if (connection_.unsent_bytes() > 0 && !connection_.unwritable_)
      connection_.FlushSoon();
    else
      connection_.Flush();
  }

 private:
  TcpConnection& connection_;
  const std::shared_ptr<TcpConnection> alive_;
};

TcpConnection::TcpConnection(std::shared_ptr<ListenerState> listener, std::shared_ptr<IoLoop> loop,
                             size_t loop_index, FileDescriptor socket, std::string peer,
                             std::optional<base::MemoryCharge> charge)
    : listener_(std::move(listener)),
      loop_(std::move(loop)),
      loop_index_(loop_index),
      socket_(std::move(socket)),
      peer_(std::move(peer)),
      charge_(std::move(charge)) {}

std::shared_ptr<TcpConnection> TcpConnection::Self() {
  return std::static_pointer_cast<TcpConnection>(shared_from_this());
}

void TcpConnection::Start() {
  listener_->open[loop_index_].insert(Self());
  last_byte_ = loop_->now();
  Turn turn(*this);
  if (!loop_->Watch(socket_.get(), *this)) return Close();
  if (!charge_) {
    Write(listener_->limits.refusal);
    return CloseAfterWrites();
  }
  session_ = listener_->factory(*this);
  if (!session_) Close();
}

void TcpConnection::Tick(MonotonicTime now) {
  if (closed_) return;
  Turn turn(*this);
  const ConnectionLimits& limits = listener_->limits;
  if (lingering_ && now - last_byte_out_ > limits.linger_max) return Close();
  if (unsent_bytes() > 0 && now - last_byte_out_ > limits.stall_max) return Close();
  if (now - last_byte_ > limits.idle_max) return Close();
  if (session_ && !lingering_) session_->OnTick(now);
}

void TcpConnection::Drain() {
  Turn turn(*this);
  if (!closed_ && session_) session_->OnDrain();
}

void TcpConnection::Run(Task task) {
  if (loop_->IsCurrent()) {
    Turn turn(*this);
    if (!closed_) task();
    return;
  }
  loop_->Post([self = Self(), task = std::move(task)]() mutable {
    {
      Turn turn(*self);
      if (!self->closed_) task();
    }
    // Whoever has waited for this answer mostly goes on at once.
    self->loop_->LookOut(kLooksOutAfterAnswer);
  });
}

void TcpConnection::Write(std::string bytes) {
  if (closed_ || closing_ || bytes.empty()) return;
  if (unsent_bytes() == 0) {
    last_byte_out_ = loop_->now();
    out_ = std::move(bytes);
    out_sent_ = 0;
  } else if (!behind_.empty() || bytes.size() >= kLongPiece) {
    behind_bytes_ += bytes.size();
    if (behind_.empty() || std::max(bytes.size(), behind_.back().size()) >= kLongPiece)
      behind_.push_back(std::move(bytes));
    else
      behind_.back() += bytes;
  } else {
    if (out_sent_ > kSentKept) {  // a peer that always leaves something unsent
      out_.erase(0, out_sent_);
      out_sent_ = 0;
    }
    out_ += bytes;
  }
  if (choked()) choked_ = true;
  if (out_.size() + behind_bytes_ > kUncharged) ChargeUnsent();
}

void TcpConnection::ResumeReading() {
  paused_ = false;
  ReadSoon();
}

void TcpConnection::Close() {
  if (closed_) return;
  closed_ = true;
  loop_->Forget(socket_.get());
  socket_ = FileDescriptor();
  if (session_) session_->OnClosed();
  std::string().swap(out_);  // assigning an empty string would keep the memory
  std::vector<std::string>().swap(behind_);
  out_sent_ = behind_bytes_ = 0;
  ChargeUnsent();
  if (!charge_) listener_->refusals.fetch_sub(1);
  charge_ = base::MemoryCharge();
  listener_->open[loop_index_].erase(Self());
  if (listener_->connections.fetch_sub(1) == 1) {
    const std::lock_guard lock(listener_->mutex);
    listener_->none_left.notify_all();
  }
}

void TcpConnection::OnReady(uint32_t events) {
  Turn turn(*this);
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hung_up_ = readable_ = true;
  if ((events & EPOLLIN) != 0) readable_ = true;
  if ((events & EPOLLOUT) != 0) unwritable_ = false;
  ReadReady();
}

bool TcpConnection::MayRead() const {
  return readable_ && !closed_ && !input_ended_ &&
         (lingering_ || (!paused_ && !choked_ && !closing_));
}

// Not at once: the session is in the middle of something.
void TcpConnection::ReadSoon() {
  if (!MayRead() || std::exchange(reads_soon_, true)) return;
  loop_->Soon([self = Self()] {
    self->reads_soon_ = false;
    Turn turn(*self);
    self->ReadReady();
  });
}

void TcpConnection::ReadReady() {
  for (int i = 0; i < kReadsPerTurn && MayRead(); ++i)
    if (!ReadOnce()) return;
  ReadSoon();
}

bool TcpConnection::ReadOnce() {
  const std::span<uint8_t> buffer = loop_->ReadBuffer(listener_->limits.read_bytes);
  const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (count < 0) {
    if (errno == EINTR) return true;
    if (errno == EAGAIN)
      readable_ = false;
    else
      Close();
    return false;
  }
  if (count == 0) {
    InputEnded();
    return false;
  }
  // A short read took all there was, and what comes is told again; an end was told already.
  const auto bytes = buffer.first(static_cast<size_t>(count));
  if (bytes.size() < buffer.size() && !hung_up_) readable_ = false;
  if (!lingering_) {
    last_byte_ = loop_->now();
    if (bytes.size() > kLastingRead) loop_->DoWhatIsDue();
    session_->OnBytes(bytes);
  }
  return readable_;
}

void TcpConnection::InputEnded() {
  input_ended_ = true;
  if (lingering_) return Close();
  if (session_) session_->OnEndOfInput();
}

void TcpConnection::FlushSoon() {
  if (std::exchange(flushes_soon_, true)) return;
  auto self = Self();
  IoLoop::Watcher* const watcher = this;
  loop_->PutOff({std::move(self), watcher});
}

void TcpConnection::OnDue() {
  flushes_soon_ = false;
  if (!closed_) Flush();
}

void TcpConnection::Flush() {
  while (unsent_bytes() > 0 && !unwritable_) {
    const ssize_t count = Send();
    if (count >= 0) {
      TakeSent(static_cast<size_t>(count));
      last_byte_out_ = last_byte_ = loop_->now();
    } else if (errno == EAGAIN) {
      unwritable_ = true;
    } else if (errno != EINTR) {
      return Close();
    }
  }
  if (unsent_bytes() > 0) {
    if (choked()) choked_ = true;
  } else {
    std::string().swap(out_);  // assigning an empty string would keep the memory
    std::vector<std::string>().swap(behind_);
    out_sent_ = 0;
    if (closing_ && !lingering_) Linger();
  }
  ChargeUnsent();
  Unchoke();
}

// As much as the socket takes; as ::send.
ssize_t TcpConnection::Send() {
  const std::string_view first = std::string_view(out_).substr(out_sent_);
  if (behind_.empty()) return ::send(socket_.get(), first.data(), first.size(), MSG_NOSIGNAL);
  std::array<iovec, kPiecesAtOnce> pieces;
  const auto piece = [](std::string_view text) {
    return iovec{const_cast<char*>(text.data()), text.size()};
  };
  pieces[0] = piece(first);
  const size_t more = std::min(behind_.size(), kPiecesAtOnce - 1);
  for (size_t i = 0; i < more; ++i) pieces[1 + i] = piece(behind_[i]);
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = 1 + more;
  return ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
}

void TcpConnection::TakeSent(size_t bytes) {
  out_sent_ += bytes;
  size_t gone = 0;
  for (; gone < behind_.size() && out_sent_ >= out_.size(); ++gone) {
    out_sent_ -= out_.size();
    out_ = std::move(behind_[gone]);
    behind_bytes_ -= out_.size();
  }
  behind_.erase(behind_.begin(), behind_.begin() + static_cast<std::ptrdiff_t>(gone));
}

void TcpConnection::Unchoke() {
  if (!choked_ || closed_ || unsent_bytes() > listener_->limits.unsent_bytes_max / 2) return;
  choked_ = false;
  ReadSoon();
  // Not at once: what the session writes then may choke and send in turn, as deep as it has
  // requests.
  loop_->Soon([self = Self()] {
    Turn turn(*self);
    if (self->session_ && !self->closed_ && !self->closing_) self->session_->OnRoom();
  });
}

// What waits to be sent exists already, so it can't be refused: others are, until it is sent.
void TcpConnection::ChargeUnsent() {
  base::MemoryBudget* const budget = listener_->limits.budget;
  uint64_t held = out_.empty() ? 0 : out_.capacity();
  for (const std::string& piece : behind_) held += piece.capacity();
  if (budget == nullptr || held == charged_unsent_) return;
  budget->Force(base::MemoryAccount::kReplies,
                static_cast<int64_t>(held) - static_cast<int64_t>(charged_unsent_));
  charged_unsent_ = held;
}

void TcpConnection::Linger() {
  lingering_ = true;
  last_byte_out_ = loop_->now();
  if (::shutdown(socket_.get(), SHUT_WR) != 0 || input_ended_) return Close();
  ReadSoon();
}

}  // namespace headrace::env::real
