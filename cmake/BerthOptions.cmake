# Warnings, sanitizers and the linker, for our own targets only (`berth_options`).
add_library(berth_options INTERFACE)
target_compile_options(berth_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough
  -Wextra-semi -Wno-missing-designated-field-initializers -Werror)
target_link_options(berth_options INTERFACE -fuse-ld=lld-19)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(berth_options INTERFACE -ffunction-sections -fdata-sections)
  target_link_options(berth_options INTERFACE -Wl,--gc-sections -Wl,-s)
endif()
if(BERTH_SANITIZE)
  # Global, so that every object of a binary agrees (containers are annotated by ASan).
  add_compile_options(-fsanitize=${BERTH_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g1)
  add_link_options(-fsanitize=${BERTH_SANITIZE})
endif()
