import re,sys
sys.path[:0]=['tests/serving','tests/support']
from test_docs import settings_table
p='docs/serving.md'; s=open(p).read()
a=s.index("| option | variable |"); b=s.index("\n\n",a)
open(p,'w').write(s[:a]+settings_table()+s[b:])
