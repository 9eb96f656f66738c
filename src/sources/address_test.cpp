#include "sources/address.h"

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Address, KnowsWhatIsMeantAsOne) {
  for (const auto* text : {"http://h/f", "https://h/f", "HTTPS://h/f", "http://"}) {
    EXPECT_TRUE(is_address(text)) << text;
  }
  for (const auto* text : {"", "http:/h/f", "ftp://h/f", "/http://h", "hf:a/b", "https:"}) {
    EXPECT_FALSE(is_address(text)) << text;
  }
}

TEST(Address, TakesAddressesApart) {
  struct Case {
    std::string_view text, url, shown, file;
  };
  for (const Case& c : {
           Case{"https://h/a/m.gguf", "https://h/a/m.gguf", "https://h/a/m.gguf", "m.gguf"},
           {"HTTPS://Host:443/m?X=1#part", "https://Host:443/m?X=1", "https://host/m?…", "m"},
           {"http://127.0.0.1:8/m%20n", "http://127.0.0.1:8/m%20n", "http://127.0.0.1:8/m%20n",
            "m n"},
           {"http://[::1]:8/a/../m", "http://[::1]:8/m", "http://[::1]:8/m", "m"},
           {"http://h/m n", "http://h/m%20n", "http://h/m%20n", "m n"},
       }) {
    const auto address = parse_address(c.text);
    ASSERT_TRUE(address) << c.text << ": " << address.error().to_string();
    EXPECT_EQ(address->url, c.url);
    EXPECT_EQ(address->shown, c.shown);
    EXPECT_EQ(address->file, c.file);
  }
}

TEST(Address, RefusesOthersAndRepeatsNothingOfThem) {
  for (const auto* text : {"ftp://secret/f", "https://", "https://h/secret/", "https://h",
                           "https://me:secret@h/f", "https://secret@h/f", "https://h:99999/secret",
                           "https://se cret/f", "https://h/secret\n", "https://h\u00e4/secret"}) {
    const auto address = parse_address(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, ErrorCode::invalid_parameter);
    EXPECT_EQ(address.error().field, "source");
    EXPECT_THAT(address.error().to_string(), Not(HasSubstr("secret"))) << text;
  }
  EXPECT_FALSE(parse_address("https://h/" + std::string(9000, 'a')));
}

TEST(Address, HasOneOrigin) {
  const auto address = parse_address("https://h/a").value();
  EXPECT_TRUE(address.same_origin(parse_address("https://H:443/b").value()));
  for (const auto* other : {"https://h:444/a", "http://h/a", "https://h.org/a"}) {
    EXPECT_FALSE(address.same_origin(parse_address(other).value())) << other;
  }
}

TEST(Redirect, LeadsOnFromWhereItIs) {
  struct Case {
    std::string_view from, location, to;
  };
  for (const Case& c : {
           Case{"https://h/a/b", "https://i/c?s=1", "https://i/c?s=1"},
           {"https://h/a/b?q=1", "c", "https://h/a/c"},
           {"https://h/a/b", "/c", "https://h/c"},
           {"https://h/a/b", "//i/c", "https://i/c"},
           {"http://h/a", "https://h/a", "https://h/a"},
           {"http://h/a", "/", "http://h/"},
       }) {
    const auto to = redirected(parse_address(c.from).value(), c.location);
    ASSERT_TRUE(to) << c.location << ": " << to.error().to_string();
    EXPECT_EQ(to->url, c.to);
  }
}

TEST(Redirect, IsRefusedWhereItIsNotSafe) {
  const auto from = parse_address("https://h/a").value();
  const auto insecure = redirected(from, "http://h/a");
  ASSERT_FALSE(insecure);
  EXPECT_THAT(insecure.error().message, HasSubstr("from https to http"));
  for (const auto* location : {"", "http://h/a", "file:///etc/passwd", "ftp://h/a",
                               "https://u:p@h/a", "https://", "https://h/\r\nb"}) {
    EXPECT_FALSE(redirected(from, location)) << location;
  }
}

}  // namespace
}  // namespace berth::sources
