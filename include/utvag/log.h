/* The log: one JSON object a line on stderr. No personal data: routes as templates, never a path with ids. */
#pragma once

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
void log_open(enum log_level least);
/* Pairs of name and value after the message, ended by NULL; values are escaped here. */
void log_line(enum log_level level, const char *message, ...) __attribute__((sentinel));
