using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;

namespace PublicDocumentation;

/// <summary>What of an assembly its users see: public types with their public and protected members, by the IDs of documentation comments (C# specification, annex D.4).</summary>
internal static class VisibleMembers
{
    public static HashSet<string> Of(string assembly)
    {
        using var file = new PEReader(File.OpenRead(assembly));
        MetadataReader reader = file.GetMetadataReader();
        var ids = new HashSet<string>(StringComparer.Ordinal);
        foreach (TypeDefinitionHandle handle in reader.TypeDefinitions)
        {
            TypeDefinition type = reader.GetTypeDefinition(handle);
            if (!IsVisible(reader, type))
                continue;
            string name = DocumentationNames.Of(reader, handle);
            ids.Add("T:" + name);
            foreach (FieldDefinition field in type.GetFields().Select(reader.GetFieldDefinition).Where(field => IsVisible(field.Attributes)))
                ids.Add($"F:{name}.{reader.GetString(field.Name)}");
            foreach (MethodDefinition method in type.GetMethods().Select(reader.GetMethodDefinition).Where(method => IsVisible(method.Attributes)))
                ids.Add($"M:{name}.{Method(reader, method)}");
            foreach (PropertyDefinition property in type.GetProperties().Select(reader.GetPropertyDefinition))
            {
                PropertyAccessors accessors = property.GetAccessors();
                if (IsVisible(reader, accessors.Getter) || IsVisible(reader, accessors.Setter))
                    ids.Add($"P:{name}.{reader.GetString(property.Name)}{Parameters(property.DecodeSignature(DocumentationNames.Provider, null))}");
            }

            foreach (EventDefinition @event in type.GetEvents().Select(reader.GetEventDefinition).Where(@event => IsVisible(reader, @event.GetAccessors().Adder)))
                ids.Add($"E:{name}.{reader.GetString(@event.Name)}");
        }

        return ids;
    }

    private static string Method(MetadataReader reader, MethodDefinition method)
    {
        string name = reader.GetString(method.Name).Replace('.', '#');
        MethodSignature<string> signature = method.DecodeSignature(DocumentationNames.Provider, null);
        string arity = signature.GenericParameterCount > 0 ? "``" + signature.GenericParameterCount : "";
        string result = name is "op_Implicit" or "op_Explicit" ? "~" + signature.ReturnType : "";
        return name + arity + Parameters(signature) + result;
    }

    private static string Parameters(MethodSignature<string> signature) => signature.ParameterTypes.IsEmpty ? "" : $"({string.Join(',', signature.ParameterTypes)})";

    private static bool IsVisible(MetadataReader reader, TypeDefinition type) => (type.Attributes & TypeAttributes.VisibilityMask) switch
    {
        TypeAttributes.Public => true,
        TypeAttributes.NestedPublic or TypeAttributes.NestedFamily or TypeAttributes.NestedFamORAssem => IsVisible(reader, reader.GetTypeDefinition(type.GetDeclaringType())),
        _ => false,
    };

    private static bool IsVisible(MetadataReader reader, MethodDefinitionHandle accessor) => !accessor.IsNil && IsVisible(reader.GetMethodDefinition(accessor).Attributes);

    private static bool IsVisible(MethodAttributes attributes) =>
        (attributes & MethodAttributes.MemberAccessMask) is MethodAttributes.Public or MethodAttributes.Family or MethodAttributes.FamORAssem;

    private static bool IsVisible(FieldAttributes attributes) =>
        (attributes & FieldAttributes.FieldAccessMask) is FieldAttributes.Public or FieldAttributes.Family or FieldAttributes.FamORAssem;
}
