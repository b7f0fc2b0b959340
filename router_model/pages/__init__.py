"""Reports as one HTML file: blocks of text, numbers, tables and charts, and the template that all reports share."""
