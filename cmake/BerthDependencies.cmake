# Third-party libraries, all from Debian bookworm (scripts/install-deps).
find_package(Threads REQUIRED)
find_package(Boost 1.81 EXACT REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(CURL 7.85 REQUIRED)
find_package(CLI11 REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(simdjson REQUIRED IMPORTED_TARGET simdjson)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(hwloc REQUIRED IMPORTED_TARGET hwloc)
pkg_check_modules(jemalloc REQUIRED IMPORTED_TARGET jemalloc)
find_package(prometheus-cpp REQUIRED)
find_path(BERTH_EXPECTED_INCLUDE tl/expected.hpp REQUIRED)
find_path(BERTH_TOML_INCLUDE toml++/toml.h REQUIRED)

# Header-only Boost: the separate compilations of Asio, Beast and JSON live in one file each
# (net/boost_src.cpp, base/boost_json.cpp).
add_library(berth_boost INTERFACE)
target_link_libraries(berth_boost INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(berth_boost INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  BOOST_ASIO_HAS_STD_INVOKE_RESULT)

# libcurl is loaded when it is first needed (sources/libcurl.h); the build needs its headers alone.
add_library(berth_curl INTERFACE)
target_include_directories(berth_curl INTERFACE ${CURL_INCLUDE_DIRS})
target_link_libraries(berth_curl INTERFACE ${CMAKE_DL_LIBS})

# The program's allocator: a request makes many short-lived objects of more than a kilobyte (the frames
# of coroutines), for which glibc's is slow. The sanitizers bring their own.
add_library(berth_allocator INTERFACE)
if(NOT BERTH_SANITIZE)
  target_link_libraries(berth_allocator INTERFACE PkgConfig::jemalloc)
endif()
