# What apxs and the configuration programs of APR say about the httpd to build for:
#
#     HTTPD_INCLUDE_DIRS   headers of httpd, APR and APR-util
#     HTTPD_FLAGS          definitions that APR's headers need
#     HTTPD_LIBEXECDIR     where modules live
#     HTTPD_SYSCONFDIR     where the configuration lives
#
# -D APXS=PATH chooses another httpd.

find_program(APXS NAMES apxs apxs2 DOC "apxs of the httpd to build for")

function(httpd_output_of result)
    execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output OUTPUT_STRIP_TRAILING_WHITESPACE
                    COMMAND_ERROR_IS_FATAL ANY)
    set(${result} "${output}" PARENT_SCOPE)
endfunction()

if(APXS)
    httpd_output_of(http_include ${APXS} -q exp_includedir)
    httpd_output_of(HTTPD_LIBEXECDIR ${APXS} -q exp_libexecdir)
    httpd_output_of(HTTPD_SYSCONFDIR ${APXS} -q exp_sysconfdir)
    httpd_output_of(apr_config ${APXS} -q APR_CONFIG)
    httpd_output_of(apu_config ${APXS} -q APU_CONFIG)
    httpd_output_of(apr_flags ${apr_config} --cppflags)
    httpd_output_of(apr_includes ${apr_config} --includes)
    httpd_output_of(apu_includes ${apu_config} --includes)

    separate_arguments(HTTPD_FLAGS UNIX_COMMAND "${apr_flags}")
    separate_arguments(includes UNIX_COMMAND "${apr_includes} ${apu_includes}")
    list(TRANSFORM includes REPLACE "^-I" "")
    set(HTTPD_INCLUDE_DIRS ${http_include} ${includes})
    list(REMOVE_DUPLICATES HTTPD_INCLUDE_DIRS)
    # The compiler's own; it must keep its place behind the C++ library.
    list(REMOVE_ITEM HTTPD_INCLUDE_DIRS /usr/include)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Httpd REQUIRED_VARS APXS HTTPD_INCLUDE_DIRS HTTPD_LIBEXECDIR)
