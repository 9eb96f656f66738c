// Random histories against a model that is too simple to be wrong: a map and a list. Drives every
// implementation of Store.
#include "store/store.h"
#include "store/test_database.h"
#include "store/test_model.h"
#include "store/watch.h"

#include <algorithm>
#include <map>
#include <ostream>
#include <utility>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace berth::store {
namespace {

constexpr std::size_t kChangesKept = 12;

enum class Expect { anything, absent, present_revision, older_revision };

struct PlannedWrite {
  int kind = 0;
  int name = 0;
  bool removal = false;
  int value = 0;
  Expect expect = Expect::anything;
};

enum class Action { commit, read_all, changes, compact, reopen, pull };

struct Step {
  Action action = Action::commit;
  std::vector<PlannedWrite> writes;
  int kind = 0;        // of read_all and changes; kKinds: all
  unsigned back = 0;   // changes: so many revisions ago
  unsigned count = 1;  // limit, or how many compact keeps
};

void showValue(const PlannedWrite& w, std::ostream& out) {
  out << (w.removal ? "remove " : "put ") << w.kind << "/" << w.name << "=" << w.value << " expect "
      << static_cast<int>(w.expect);
}

void showValue(const Step& s, std::ostream& out) {
  out << "action " << static_cast<int>(s.action) << " kind " << s.kind << " back " << s.back
      << " count " << s.count << " writes ";
  rc::show(s.writes, out);
}

constexpr int kKinds = 3;
std::string kind_of(int i) { return "kind" + std::to_string(i); }
std::string name_of(int i) { return std::string(1, static_cast<char>('a' + i)); }
std::vector<std::string> kinds_of(int i) {
  return i == kKinds ? std::vector<std::string>{} : std::vector<std::string>{kind_of(i)};
}

rc::Gen<PlannedWrite> any_write() {
  return rc::gen::build<PlannedWrite>(
      rc::gen::set(&PlannedWrite::kind, rc::gen::inRange(0, kKinds)),
      rc::gen::set(&PlannedWrite::name, rc::gen::inRange(0, 4)),
      rc::gen::set(&PlannedWrite::removal, rc::gen::weightedElement<bool>({{3, false}, {1, true}})),
      rc::gen::set(&PlannedWrite::value, rc::gen::inRange(0, 100)),
      rc::gen::set(&PlannedWrite::expect,
                   rc::gen::weightedElement<Expect>({{6, Expect::anything},
                                                     {2, Expect::absent},
                                                     {3, Expect::present_revision},
                                                     {1, Expect::older_revision}})));
}

rc::Gen<Step> any_step() {
  return rc::gen::build<Step>(
      rc::gen::set(&Step::action, rc::gen::weightedElement<Action>({{12, Action::commit},
                                                                    {3, Action::read_all},
                                                                    {4, Action::changes},
                                                                    {1, Action::compact},
                                                                    {1, Action::reopen},
                                                                    {3, Action::pull}})),
      rc::gen::set(&Step::writes,
                   rc::gen::resize(4, rc::gen::container<std::vector<PlannedWrite>>(any_write()))),
      rc::gen::set(&Step::kind, rc::gen::inRange(0, kKinds + 1)),
      rc::gen::set(&Step::back, rc::gen::inRange(0u, 20u)),
      rc::gen::set(&Step::count, rc::gen::inRange(1u, 8u)));
}

void require_same(const Document& got, const Document& want) {
  RC_ASSERT(got.kind == want.kind);
  RC_ASSERT(got.name == want.name);
  RC_ASSERT(got.revision == want.revision);
  RC_ASSERT(got.data == want.data);
}

void require_same(const Result<Changes>& got, const std::optional<Changes>& want) {
  RC_ASSERT(got.has_value() == want.has_value());
  if (!want) {
    RC_ASSERT(got.error().code == ErrorCode::gone);
    return;
  }
  RC_ASSERT(got->revision == want->revision);
  RC_ASSERT(got->more == want->more);
  RC_ASSERT(got->changes.size() == want->changes.size());
  for (std::size_t i = 0; i < want->changes.size(); ++i) {
    const Change& a = got->changes[i];
    const Change& b = want->changes[i];
    RC_ASSERT(a.type == b.type);
    require_same({a.kind, a.name, a.revision, a.data}, {b.kind, b.name, b.revision, b.data});
  }
}

// One history: the store, the model, and a watch that lives through it.
class History {
 public:
  explicit History(MakeTestDatabase make) : database_(make()) { open(); }

  void take(const Step& step) {
    switch (step.action) {
      case Action::commit:
        return commit(step.writes);
      case Action::read_all:
        return read_all();
      case Action::changes: {
        const Revision since = model_.revision() - std::min<Revision>(step.back, model_.revision());
        const auto kinds = kinds_of(step.kind);
        return require_same(store_->changes_since(since, kinds, step.count),
                            model_.since(since, kinds, step.count));
      }
      case Action::compact:
        RC_ASSERT(store_->compact(step.count).has_value());
        return model_.keep(step.count);
      case Action::reopen:
        watch_.reset();
        store_.reset();
        return open();
      case Action::pull:
        return pull(step.count);
    }
  }

  void finish() {
    read_all();
    pull(1000);
  }

 private:
  void open() {
    store_ = database_->open({.changes_kept = kChangesKept});
    start_watch();
  }

  void start_watch() {
    woken_ = false;
    watch_ = store_->watch(watched_, position_, [this](Revision) { woken_ = true; });
  }

  void commit(const std::vector<PlannedWrite>& planned) {
    std::vector<Write> writes;
    Model after = model_;
    std::optional<ErrorCode> failure;
    for (const PlannedWrite& plan : planned) {
      Write write{.kind = kind_of(plan.kind), .name = name_of(plan.name)};
      if (!plan.removal) {
        // Long enough for the memory of recent changes to overflow.
        write.data = json::object{{"value", plan.value}, {"text", std::string(200, 'x')}};
      }
      const auto found = model_.documents.find({write.kind, write.name});
      const Revision current = found == model_.documents.end() ? 0 : found->second.revision;
      if (plan.expect == Expect::absent) write.expected = 0;
      if (plan.expect == Expect::present_revision) write.expected = current;
      if (plan.expect == Expect::older_revision && current > 1) write.expected = current - 1;
      if (!failure) failure = after.apply(write);
      writes.push_back(std::move(write));
    }
    const Revision first = model_.revision() + 1;
    const auto done = store_->commit(writes);
    RC_ASSERT(done.has_value() == !failure.has_value());
    if (failure) {
      RC_ASSERT(done.error().code == *failure);
      return;
    }
    RC_ASSERT(done->size() == writes.size());
    for (std::size_t i = 0; i < done->size(); ++i) RC_ASSERT((*done)[i] == first + i);
    if (!writes.empty()) after.keep(kChangesKept);
    model_ = std::move(after);
  }

  void read_all() {
    RC_ASSERT(store_->revision().value() == model_.revision());
    for (int kind = 0; kind < kKinds; ++kind) {
      const auto listing = store_->list(kind_of(kind));
      RC_ASSERT(listing.has_value());
      RC_ASSERT(listing->revision == model_.revision());
      auto got = listing->documents.begin();
      for (const auto& [key, document] : model_.documents) {
        if (key.first != kind_of(kind)) continue;
        RC_ASSERT(got != listing->documents.end());
        require_same(*got++, document);
        require_same(store_->get(key.first, key.second).value(), document);
      }
      RC_ASSERT(got == listing->documents.end());
    }
  }

  void pull(std::size_t limit) {
    const auto want = model_.since(position_, watched_, limit);
    if (want && !want->changes.empty()) RC_ASSERT(woken_);
    require_same(watch_->next(limit), want);
    if (want) {
      RC_ASSERT(watch_->position() == want->revision);
      position_ = want->revision;
      woken_ = want->more;
    } else {
      position_ = model_.revision();  // list again
      start_watch();
    }
  }

  const std::unique_ptr<TestDatabase> database_;
  const std::vector<std::string> watched_ = {kind_of(0)};
  Model model_;
  Revision position_ = 0;
  bool woken_ = false;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Watch> watch_;
};

class StoreModelTest : public testing::TestWithParam<MakeTestDatabase> {};

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreModelTest, testing::Values(&make_sqlite_test_database),
                         [](const auto&) { return std::string("Sqlite"); });

TEST_P(StoreModelTest, AgreesWithAMapAndAList) {
  EXPECT_TRUE(rc::check("any history", [] {
    const auto steps = *rc::gen::container<std::vector<Step>>(any_step());
    History history(GetParam());
    for (const Step& step : steps) history.take(step);
    history.finish();
  }));
}

}  // namespace
}  // namespace berth::store
