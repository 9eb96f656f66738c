# cmake -DFOLDER=… -DFILES=a;b -DOUTPUT=x.cpp -P embed_files.cmake
# Writes a C++ file that holds FILES as bytes, named by their paths relative to FOLDER.
set(arrays "")
set(table "")
set(number 0)
list(SORT FILES)
foreach(file IN LISTS FILES)
  file(RELATIVE_PATH name ${FOLDER} ${file})
  file(READ ${file} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char k${number}[] = {${bytes}0};\n")
  string(APPEND table "    {\"${name}\", text(k${number})},\n")
  math(EXPR number "${number} + 1")
endforeach()
file(WRITE ${OUTPUT} "// Generated from engines/ by cmake/embed_files.cmake.
#include \"engines/embedded.h\"

#include <array>

namespace berth::engines {
namespace {
${arrays}
template <std::size_t N>
std::string_view text(const unsigned char (&bytes)[N]) {
  return {reinterpret_cast<const char*>(bytes), N - 1};
}
}  // namespace

std::span<const EmbeddedFile> embedded_files() {
  static const std::array<EmbeddedFile, ${number}> files{{
${table}  }};
  return files;
}

}  // namespace berth::engines
")
