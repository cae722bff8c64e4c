using System.Xml.Linq;
using PublicDocumentation;

// Arguments: the assembly, its documentation file, and where to write the part of it that users of the assembly see.
XDocument documentation = XDocument.Load(args[1], LoadOptions.PreserveWhitespace);
HashSet<string> visible = VisibleMembers.Of(args[0]);
foreach (XElement member in documentation.Descendants("member").ToArray())
{
    if (visible.Contains(member.Attribute("name")!.Value))
        continue;
    // With the line break and the indentation in front of it.
    if (member.PreviousNode is XText { Value: var text } blank && string.IsNullOrWhiteSpace(text))
        blank.Remove();
    member.Remove();
}

documentation.Save(args[2], SaveOptions.DisableFormatting);
