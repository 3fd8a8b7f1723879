/* What a C program does with TA-Lib's stream handles: one call a function, symbol and bar; nothing else in the loop. */

typedef int (*update)(void *handle, double open, double high, double low, double close, int *value);

/* Prices of one bar a symbol; handles and values by symbol, then function. Returns the sum of the return codes. */
int drive(const update *updates, int functions, void *const *handles, int symbols, const double *open,
          const double *high, const double *low, const double *close, int *values)
{
    int codes = 0;
    for (int symbol = 0; symbol < symbols; symbol++)
        for (int function = 0; function < functions; function++) {
            int at = symbol * functions + function;
            codes += updates[function](handles[at], open[symbol], high[symbol], low[symbol], close[symbol], &values[at]);
        }
    return codes;
}
