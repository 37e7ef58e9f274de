"""A head that names the class of a row: how it is trained, evaluated and measured."""
