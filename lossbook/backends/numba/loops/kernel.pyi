# What `..printer` prints at the head of a kernel file, and the loops below it call. Each shape of loss has some of it.

real: type  # numpy.float32 or numpy.float64, the working type

BLOCK: int  # elements of a block
WIDE: int  # from this many classes on, they are added in lanes
LABELS: bool  # the target is class indices
TERMS: int  # how many totals an element adds to
TOTALS: bool  # the loss is a function of totals, whose slopes are known once all of them are
OF_LOG_ODDS: bool  # the loss of a pixel is a function of its log-odds, beside its probability
OF_ROW: bool  # something is added once per row

# Whether the numbers of an element obey the rules of their domains.
# Elements: (z, y); pixels: (y); boxes: (predicted, true); rows: (y); entries: (u, y), and with a label (u).
def allowed(*numbers): ...

# Whether an entry needs no second look: it is not NaN, and obeys the rule of its domain.
def is_usual(u): ...

# What an element adds to each total, or the loss of a class or box, and the slope, or a tuple of four.
# Elements: (z, y, parameters, d_totals); pixels: (u, probability, complement, y, parameters, d_totals);
# elements per class: (z, y, parameters, i); boxes: (predicted, true, parameters);
# classes: (u, y, classes, parameters), and with a label (u, parameters).
def evaluate(*numbers): ...

# Elements per class: the parameters of a block of elements, as a tuple of arrays.
def numbers_of(parameters, start, stop): ...

# The slopes of the loss along its totals, as a tuple.
def slopes_of(slopes): ...

# Puts away what element i of a block, whose weight is w, adds to each total.
def store(terms, i, w, added): ...

# What is added once per row and its slope along the row's logsumexp.
def of_row(logsumexp, classes, parameters): ...
