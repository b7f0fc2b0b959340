/* The surface of a text, as router_model.features.surface describes it: its shape, the kinds of its characters, and
 * the matches of router_model.features.patterns.PATTERNS, in their order. Texts are UCS-4, so that lone halves of
 * surrogate pairs count like any character. */
#include "texts.h"

#include <math.h>

/* A character's kind: its class in the lower bits, and what Python's regular expressions say of it. */
#define CLASS 31
#define SPACE 32
#define WORD 64
#define DIGIT 128

#define N_PAGES 0x1100
#define PAGE 256
static uint8_t *pages[N_PAGES]; /* made once, while the interpreter's lock is held, and never freed */

int know_pages(const uint32_t *text, Py_ssize_t size, PyObject *page_of)
{
    for (Py_ssize_t at = 0; at <= size; at++) { /* the zero at the end, too */
        const uint32_t page = text[at] / PAGE;
        if (page >= N_PAGES)
            return PyErr_SetString(PyExc_ValueError, "a character beyond Unicode"), -1;
        if (pages[page] != NULL)
            continue;
        PyObject *made = PyObject_CallFunction(page_of, "I", page * PAGE);
        char *kinds;
        Py_ssize_t length;
        if (made == NULL || PyBytes_AsStringAndSize(made, &kinds, &length) < 0) {
            Py_XDECREF(made);
            return -1;
        }
        uint8_t *kept = length == PAGE ? malloc(PAGE) : NULL;
        int fits = kept != NULL;
        for (int each = 0; fits && each < PAGE; each++)
            fits = ((kept[each] = (uint8_t)kinds[each]) & CLASS) < N_CLASSES;
        Py_DECREF(made);
        if (!fits) {
            free(kept);
            return PyErr_SetString(PyExc_ValueError, "page_of gave no kinds of 256 characters"), -1;
        }
        pages[page] = kept;
    }
    return 0;
}

static inline int kind(uint32_t character) { return pages[character / PAGE][character % PAGE]; }
static inline int is(uint32_t character, int flag) { return (kind(character) & flag) != 0; }
static inline int is_lower(uint32_t c) { return c >= 'a' && c <= 'z'; }
static inline int is_upper(uint32_t c) { return c >= 'A' && c <= 'Z'; }

/* The lower case of an ASCII letter, and of what matches one where case is ignored. */
static inline uint32_t folded(uint32_t c)
{
    switch (c) {
    case 0x130: case 0x131: return 'i';
    case 0x17f: return 's';
    case 0x212a: return 'k';
    default: return is_upper(c) ? c + 32 : c;
    }
}

/* As router_model.features.plain_text; `plain` has room for twice the text, and a zero comes last. */
static int64_t make_plain(const uint32_t *text, int64_t size, uint32_t *plain)
{
    int64_t n = 0, first = 0, last = size;
    while (first < last && is(text[first], SPACE))
        first++;
    while (last > first && is(text[last - 1], SPACE))
        last--;
    for (int64_t line = first; line < last;) {
        int64_t end = line, from = line;
        while (end < last && text[end] != '\n')
            end++;
        int64_t to = end;
        while (from < end && is(text[from], SPACE))
            from++;
        while (to > from && is(text[to - 1], SPACE))
            to--;
        if (from < to) {
            if (n > 0)
                plain[n++] = '\n';
            if (from > line && (text[line] == '\t' || from - line > 1))
                plain[n++] = ' ', plain[n++] = ' ';
            for (int64_t at = from; at < to; at++) {
                const int is_blank = text[at] == ' ' || text[at] == '\t';
                if (!is_blank)
                    plain[n++] = text[at];
                else if (text[at - 1] != ' ' && text[at - 1] != '\t')
                    plain[n++] = ' ';
            }
        }
        line = end + 1;
    }
    plain[n] = 0;
    return n;
}

enum {
    CODE_FENCES, CODE_WORDS, INDENTED_LINES, LATEX_COMMANDS, NUMBERS, ARITHMETIC, LONG_NUMBERS, QUESTION_MARKS,
    QUESTION_WORDS, NEGATIONS, ANSWER_OPTIONS, BLANKS, LIST_ITEMS, QUOTED_SPANS, PROPER_NAMES, ASKS_JSON,
    ASKS_LIST_OR_TABLE, ASKS_STEPS, ASKS_BRIEF, ASKS_WRITING, ASKS_CODE
};

/* Words that are counted whole, by the length and then the first letter; those of code in this case alone. */
typedef struct {
    const char *word;
    int column;
} Known;

#define MOST_LETTERS 10
static const Known of_2[] = {{"no", NEGATIONS}, {0}};
static const Known of_3[] = {{"who", QUESTION_WORDS}, {"why", QUESTION_WORDS}, {"how", QUESTION_WORDS},
                             {"not", NEGATIONS}, {"nor", NEGATIONS}, {"xml", ASKS_JSON}, {"csv", ASKS_JSON},
                             {"sql", ASKS_CODE}, {0}};
static const Known of_4[] = {{"what", QUESTION_WORDS}, {"whom", QUESTION_WORDS}, {"when", QUESTION_WORDS},
                             {"json", ASKS_JSON}, {"yaml", ASKS_JSON}, {"list", ASKS_LIST_OR_TABLE},
                             {"poem", ASKS_WRITING}, {"java", ASKS_CODE}, {"rust", ASKS_CODE}, {"code", ASKS_CODE},
                             {0}};
static const Known of_5[] = {{"which", QUESTION_WORDS}, {"whose", QUESTION_WORDS}, {"where", QUESTION_WORDS},
                             {"never", NEGATIONS}, {"false", NEGATIONS}, {"table", ASKS_LIST_OR_TABLE},
                             {"write", ASKS_WRITING}, {"essay", ASKS_WRITING}, {"story", ASKS_WRITING},
                             {"email", ASKS_WRITING}, {"regex", ASKS_CODE}, {0}};
static const Known of_6[] = {{"except", NEGATIONS}, {"cannot", NEGATIONS}, {"bullet", ASKS_LIST_OR_TABLE},
                             {"letter", ASKS_WRITING}, {"python", ASKS_CODE}, {"script", ASKS_CODE}, {0}};
static const Known of_7[] = {{"neither", NEGATIONS}, {"rewrite", ASKS_WRITING}, {"program", ASKS_CODE}, {0}};
static const Known of_8[] = {{"function", ASKS_CODE}, {0}};
static const Known of_9[] = {{"incorrect", NEGATIONS}, {"enumerate", ASKS_LIST_OR_TABLE},
                             {"translate", ASKS_WRITING}, {0}};
static const Known of_10[] = {{"paraphrase", ASKS_WRITING}, {"javascript", ASKS_CODE}, {0}};
static const Known *const words[MOST_LETTERS + 1] = {NULL, NULL, of_2, of_3, of_4, of_5, of_6, of_7, of_8, of_9, of_10};

static const char *const code_words[] = {"def", "return", "import", "class", "function", "const", "var", "public",
                                         "static", "void", "SELECT", "assert", "lambda", "print", NULL};

static int64_t length_of(const char *word) { return (int64_t)strlen(word); }

/* Whether a text, as it is or in lower case, goes on with a word. */
static int begins(const uint32_t *text, const char *word)
{
    for (; *word != '\0'; word++, text++)
        if (*text != (uint32_t)*word)
            return 0;
    return 1;
}

static int begins_folded(const uint32_t *text, const char *word)
{
    for (; *word != '\0'; word++, text++)
        if (folded(*text) != (uint32_t)*word)
            return 0;
    return 1;
}

static void count_word(const uint32_t *word, int64_t size, int64_t *counts)
{
    if (size > MOST_LETTERS)
        return;
    const uint32_t first = folded(word[0]);
    for (const Known *known = words[size]; known != NULL && known->word != NULL; known++)
        if ((uint32_t)known->word[0] == first && begins_folded(word, known->word)) {
            counts[known->column]++;
            break;
        }
    for (const char *const *own = code_words; *own != NULL; own++)
        if ((uint32_t)**own == word[0] && length_of(*own) == size && begins(word, *own)) {
            counts[CODE_WORDS]++;
            break;
        }
}

/* Where a span that began at `from` ends with `mark`, behind 1 to 200 characters on its line; 0 if it does not. */
static int64_t span_end(const uint32_t *text, int64_t from, int64_t size, uint32_t mark)
{
    for (int64_t at = from; at < size && at - from <= 200; at++) {
        if (text[at] == mark)
            return at > from ? at + 1 : 0;
        if (text[at] == '\n')
            return 0;
    }
    return 0;
}

static int64_t skip_spaces(const uint32_t *text, int64_t at, int64_t size)
{
    while (at < size && is(text[at], SPACE))
        at++;
    return at;
}

static int64_t skip_digits(const uint32_t *text, int64_t at, int64_t size)
{
    while (at < size && is(text[at], DIGIT))
        at++;
    return at;
}

static int is_operator(uint32_t c)
{
    return (c != 0 && c < 128 && strchr("-+*/^=<>", (int)c) != NULL) || c == 0xd7 || c == 0xf7;
}

/* A number, and the operator behind its last digit; digits of other scripts count, too. */
static void count_numbers(const uint32_t *text, int64_t size, int64_t *counts)
{
    for (int64_t at = 0; at < size;) {
        if (!is(text[at], DIGIT)) {
            at++;
            continue;
        }
        counts[NUMBERS]++;
        for (;;) {
            const int64_t end = skip_digits(text, at, size);
            counts[LONG_NUMBERS] += end - at >= 4;
            at = end;
            if (at + 1 >= size || (text[at] != '.' && text[at] != ',') || !is(text[at + 1], DIGIT))
                break;
            at++;
        }
    }
    for (int64_t at = 0; at < size; at++) {
        if (!is(text[at], DIGIT))
            continue;
        int64_t next = skip_spaces(text, at + 1, size);
        if (next >= size || !is_operator(text[next]))
            continue;
        next = skip_spaces(text, next + 1, size);
        if (next < size && is(text[next], DIGIT)) {
            counts[ARITHMETIC]++;
            at = next; /* the digit that ends a match begins no other one */
        }
    }
}

/* Matches at the beginning of the line at `at`: a list item. */
static int is_item(const uint32_t *text, int64_t at, int64_t size)
{
    int64_t most = at + 20;
    while (at < size && at < most && (text[at] == ' ' || text[at] == '\t'))
        at++;
    if (at >= size)
        return 0;
    int64_t end = at + 1;
    if (text[at] != '-' && text[at] != '*' && text[at] != 0x2022) {
        end = skip_digits(text, at, size);
        if (end == at || end - at > 4 || end >= size || (text[end] != '.' && text[end] != ')'))
            return 0;
        end++;
    }
    return end < size && (text[end] == ' ' || text[end] == '\t');
}

/* Options as "(A) ", behind a space or at the beginning of a line. A line break that ends one may begin the next. */
static void count_options(const uint32_t *text, int64_t size, int64_t *counts)
{
    for (int64_t at = -1; at < size; at++) { /* before the first character is a line break */
        if (at >= 0 && !is(text[at], SPACE))
            continue;
        const int64_t letter = at + 1 + (at + 1 < size && text[at + 1] == '(');
        if (letter + 2 >= size)
            continue;
        const uint32_t c = folded(text[letter]);
        if (c < 'a' || c > 'j' || text[letter] >= 128 || strchr(").:", (int)(text[letter + 1] & 127)) == NULL
            || text[letter + 1] == 0 || text[letter + 1] >= 128 || !is(text[letter + 2], SPACE))
            continue;
        counts[ANSWER_OPTIONS]++;
        at = text[letter + 2] == '\n' ? letter + 1 : letter + 2;
    }
}

/* Each match of a mark begins behind the one before. */
static void count_spans(const uint32_t *text, int64_t size, int64_t *counts)
{
    for (int64_t at = 0; at < size; at++) {
        int64_t end = 0;
        if (text[at] == '"' || text[at] == 0x201c)
            end = span_end(text, at + 1, size, text[at] == '"' ? '"' : 0x201d);
        if (end > 0) {
            counts[QUOTED_SPANS]++;
            at = end - 1;
        }
    }
    for (int64_t at = 0; at < size; at++) {
        int64_t end = text[at] == '$' ? span_end(text, at + 1, size, '$') : 0;
        if (text[at] == '\\' && at + 1 < size && is_lower(folded(text[at + 1])) && text[at + 1] < 128) {
            end = at + 2;
            while (end < size && text[end] < 128 && is_lower(folded(text[end])))
                end++;
        }
        if (end > 0) {
            counts[LATEX_COMMANDS]++;
            at = end - 1;
        }
    }
}

static int64_t asks_steps(const uint32_t *text)
{
    static const char *const asked[] = {"explain", "reasoning", "show your work", "derive", "prove", NULL};
    for (const char *const *own = asked; *own != NULL; own++)
        if (begins_folded(text, *own))
            return length_of(*own);
    const int is_step = begins_folded(text, "step") && (text[4] == '-' || text[4] == ' ')
        && begins_folded(text + 5, "by") && (text[7] == '-' || text[7] == ' ') && begins_folded(text + 8, "step");
    return is_step ? 12 : 0;
}

static int64_t asks_brief(const uint32_t *text, int is_at_word)
{
    static const char *const asked[] = {"in one word", "in one sentence", "only the", "just the", "single letter", NULL};
    static const char *const at_words[] = {"concise", "summar", NULL};
    for (const char *const *own = asked; *own != NULL; own++)
        if (begins_folded(text, *own))
            return length_of(*own);
    for (const char *const *own = at_words; is_at_word && *own != NULL; own++)
        if (begins_folded(text, *own))
            return length_of(*own);
    return is_at_word && begins_folded(text, "briefly") && !is(text[7], WORD) ? 7 : 0;
}

/* Everything that words begin, or that a sign alone shows. A zero ends the text and is in no pattern. */
static void count_others(const uint32_t *text, int64_t size, int64_t *counts)
{
    int64_t steps_from = 0, brief_from = 0, fence_from = 0, word = -1, underscores = 0;
    for (int64_t at = 0; at <= size; at++) {
        const uint32_t c = text[at], before = at > 0 ? text[at - 1] : 0;
        const int in_word = at < size && is(c, WORD);
        const int is_at_word = in_word && (at == 0 || !is(before, WORD));
        if (is_at_word)
            word = at;
        if (!in_word && word >= 0) {
            count_word(text + word, at - word, counts);
            counts[ASKS_CODE] += at - word == 1 && folded(before) == 'c' && size - at > 2 && c == '+'
                && text[at + 1] == '+' && is(text[at + 2], WORD);
            word = -1;
        }
        underscores = c == '_' ? underscores + 1 : 0;
        counts[BLANKS] += underscores == 3;
        if (at == size)
            break;
        if (at == 0 || before == '\n')
            counts[LIST_ITEMS] += is_item(text, at, size);
        switch (folded(c)) {
        case '`':
            if (at >= fence_from && begins(text + at, "```"))
                counts[CODE_FENCES]++, fence_from = at + 3;
            break;
        case '\n':
            counts[INDENTED_LINES] += begins(text + at, "\n  ");
            break;
        case '?': case 0xff1f: case 0x61f:
            counts[QUESTION_MARKS]++;
            break;
        case 'n':
            counts[NEGATIONS] += begins(text + at, "n't") && !is(text[at + 3], WORD);
            break;
        default:
            break;
        }
        if (is_upper(c) && at >= 2 && before == ' ' && (is_lower(text[at - 2]) || text[at - 2] == ',')
            && is_lower(text[at + 1]))
            counts[PROPER_NAMES]++;
        switch (folded(c)) {
        case 's': case 'e': case 'r': case 'd': case 'p': {
            const int64_t n = at >= steps_from ? asks_steps(text + at) : 0;
            if (n > 0)
                counts[ASKS_STEPS]++, steps_from = at + n;
            break;
        }
        default:
            break;
        }
        switch (folded(c)) {
        case 'b': case 'c': case 'i': case 'o': case 'j': case 's': {
            const int64_t n = at >= brief_from ? asks_brief(text + at, is_at_word) : 0;
            if (n > 0)
                counts[ASKS_BRIEF]++, brief_from = at + n;
            break;
        }
        default:
            break;
        }
    }
}

static float log_of(int64_t count) { return (float)log1p((double)count); }

int describe_text(const uint32_t *text, int64_t size, int64_t n_chars, float *out)
{
    uint32_t *plain = malloc((2 * (size_t)size + 1) * sizeof *plain);
    if (plain == NULL)
        return PyErr_NoMemory(), 1;
    const int64_t n = make_plain(text, size, plain);
    int64_t n_words = 0, longest = 0, of_words = 0, own = 0, n_breaks = 0, classes[CLASS + 1] = {0};
    for (int64_t at = 0; at <= n; at++) {
        if (at < n && !is(plain[at], SPACE)) {
            own++;
        } else if (own > 0) {
            n_words++, of_words += own;
            longest = own > longest ? own : longest;
            own = 0;
        }
        if (at < n)
            n_breaks += plain[at] == '\n', classes[kind(plain[at]) & CLASS]++;
    }
    int64_t counts[N_PATTERNS] = {0};
    count_numbers(plain, n, counts);
    count_options(plain, n, counts);
    count_spans(plain, n, counts);
    count_others(plain, n, counts);
    free(plain);
    const double share = n_words > 0 ? (double)of_words / (double)n_words : 0.0;
    *out++ = log_of((int64_t)nearbyint((double)(n * n_chars) / (double)(size > 0 ? size : 1)));
    *out++ = log_of(n_words);
    *out++ = log_of(n_breaks);
    *out++ = (float)(share < 50.0 ? share : 50.0);
    *out++ = log_of(longest);
    for (int each = 0; each < N_CLASSES; each++)
        *out++ = (float)((double)classes[each] / (double)(n > 0 ? n : 1));
    for (int each = 0; each < N_PATTERNS; each++)
        *out++ = log_of(counts[each]);
    return 0;
}
