"""An inspected row, one module per way to show it: terminal, page, document."""
