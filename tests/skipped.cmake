# Says in a line each which Java tests a build left out and why, from surefire's reports of all modules; surefire itself prints numbers alone.
#   cmake -DROOT=folder of the repository -P skipped.cmake
# The C core's own lines come from core-checks/sanitize-core.cmake and csrc/natives/verify-aarch64.cmake.
cmake_minimum_required(VERSION 3.20)
file(GLOB reports ${ROOT}/*/target/surefire-reports/TEST-*.xml)
set(lines "")
foreach(report ${reports})
  file(READ ${report} text)
  string(REGEX REPLACE "[][;]" "," text "${text}") # which lists give a meaning
  string(REGEX MATCHALL "<testcase [^>]*>[ \n\r\t]*<skipped[^>]*>(<!,CDATA,[^\n]*)?" cases "${text}")
  foreach(case ${cases})
    string(REGEX REPLACE ".* classname=\"([^\"]*)\".*" "\\1" class "${case}")
    string(REGEX REPLACE ".*\\." "" class "${class}")
    set(reason "no reason given")
    if(case MATCHES "<skipped message=\"([^\"]*)\"")
      set(reason "${CMAKE_MATCH_1}")
    elseif(case MATCHES "CDATA,[A-Za-z0-9.]+: ([^\n]*)") # an assumption's: the exception
      set(reason "${CMAKE_MATCH_1}")
    endif()
    string(REGEX REPLACE "^Assumption failed: |[ \n\r\t]+$" "" reason "${reason}")
    string(REGEX REPLACE "[ \n\r\t]+" " " reason "${reason}")
    list(APPEND lines "skipped: ${class}: ${reason}")
  endforeach()
endforeach()
list(REMOVE_DUPLICATES lines)
foreach(line ${lines})
  message(NOTICE "${line}")
endforeach()
